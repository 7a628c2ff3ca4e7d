# Sums of long vectors, as states and gradients are.

"""
Add `weight` times `x` to `y`, which is returned.

A loop, since a broadcast of `y .+= x` takes eight times as long where the compiler does not see that it may use vector
registers (Julia 1.11).
"""
function add_scaled!(y, weight, x)
    @inbounds @simd for i in eachindex(y, x)
        y[i] = muladd(weight, x[i], y[i])
    end
    return y
end

"""Add `x` to `y`, which is returned."""
function add_to!(y, x)
    @inbounds @simd for i in eachindex(y, x)
        y[i] += x[i]
    end
    return y
end

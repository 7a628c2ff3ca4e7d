# The environment of a call: integers in memory, which the Python half lays out and writes.

const LEFT, TICK, WORK, MEMORY, JOINT, RHS_CALLS = 1, 2, 3, 4, 5, 6

"""
Count a call in `slot`, and now and then tell Python the time. Returns whether to go on.
"""
@inline function begin_call(env::Ptr{Int}, slot::Int, t::Float64)
    unsafe_store!(env, unsafe_load(env, slot) + 1, slot)
    left = unsafe_load(env, LEFT) - 1
    unsafe_store!(env, left, LEFT)
    return left > 0 || tick(env, t)
end

"""Calls between looks at whether to go on, if who is told the time sets no other number."""
const CALLS_A_LOOK = 100

@noinline function tick(env::Ptr{Int}, t::Float64)
    unsafe_store!(env, CALLS_A_LOOK, LEFT)
    tick = Ptr{Cvoid}(unsafe_load(env, TICK))
    return iszero(gc_safe(() -> ccall(tick, Cint, (Cdouble,), t)))
end

# How products are computed, by the slot `JOINT`: each by itself; both at once, where that with the parameters is kept for
# who asks next, at the same point; or all of them added up, until somebody asks for the sum.
const APART, AT_ONCE, ADDED_UP = 0, 1, 2

"""
Make `memory` ready for a product with `np` parameters, to be added to what `product` points to within it. The time there
is NaN where nothing is known.
"""
function begin_product!(memory::Ptr{T}, product::Ptr{T}, mode, v::Ptr{T}, u::Ptr{T}, t::Float64, n, np) where {T}
    if mode == ADDED_UP
        isnan(unsafe_load(Ptr{Float64}(memory))) || return nothing
        unsafe_store!(Ptr{Float64}(memory), 0.0)
    else
        remember!(memory, v, u, t, n)
    end
    return zero!(product, np)
end

"""Write the sum of products, or that of this point, if it is known; returns whether it is. A sum begins anew then."""
function known_product!(
        out::Ptr{T}, memory::Ptr{T}, product::Ptr{T}, mode, v::Ptr{T}, u::Ptr{T}, t::Float64, n, np
    ) where {T}
    if mode == ADDED_UP
        isnan(unsafe_load(Ptr{Float64}(memory))) ? zero!(out, np) : unsafe_copyto!(out, product, np)
        unsafe_store!(Ptr{Float64}(memory), NaN)
        return true
    end
    mode == AT_ONCE && recalled(memory, v, u, t, n) || return false
    unsafe_copyto!(out, product, np)
    return true
end

function zero!(out::Ptr{T}, n) where {T}
    for i in 1:n
        unsafe_store!(out, zero(T), i)
    end
    return nothing
end

"""
Keep at which point a product with the parameters was computed: `memory` holds the time, `v`, `u`, then the product.
"""
function remember!(memory::Ptr{T}, v::Ptr{T}, u::Ptr{T}, t::Float64, n::Int) where {T}
    unsafe_store!(Ptr{Float64}(memory), t)
    unsafe_copyto!(memory + 8, v, n)
    unsafe_copyto!(memory + 8 + n * sizeof(T), u, n)
    return nothing
end

"""Whether the product in `memory` is that for this point."""
function recalled(memory::Ptr{T}, v::Ptr{T}, u::Ptr{T}, t::Float64, n::Int) where {T}
    unsafe_load(Ptr{Float64}(memory)) == t || return false
    same = true
    for i in 1:n
        same &= unsafe_load(memory + 8, i) == unsafe_load(v, i)
        same &= unsafe_load(memory + 8, n + i) == unsafe_load(u, i)
    end
    return same
end

# The gradient with respect to the parameters as an integral along the backward solve, to that solve's tolerances.
#
# `GaussAdjoint` and `GaussKronrodAdjoint` keep this integral out of the adjoint's state: the steps of the solve suit the
# adjoint variable, and may not see what it is multiplied by. SciMLSensitivity takes a rule without an error estimate, or
# one with a fixed tolerance; here each step is cut in halves until the estimate is within the tolerances asked for.

# Lobatto's rule of 5 points on [-1, 1], with Simpson's on three of these. Both have the ends among their points, so that a
# jump anywhere in between is seen: rules without, as Gauss's and Kronrod's are, know nothing of what is next to the ends.
const INNER = sqrt(3 / 7)
const LOBATTO_MIDDLE, LOBATTO_INNER, LOBATTO_END = 32 / 45, 49 / 90, 1 / 10
const SIMPSON_MIDDLE, SIMPSON_END = 4 / 3, 1 / 3

const SHORTEST = 16 # units in the last place of a time: pieces are not cut further
const ROUNDING = 64 # of a piece's value: what no rule can do better than
const KNOTS_A_PIECE = 3 # steps of the forward solve: where it took more, the piece is cut before it is looked at

"""
    Quadrature(integrand, knots, n, np, abstol, reltol)

The integral of `integrand(out, t, λ)`, `np` numbers for an adjoint variable of `n`, over the steps of a backward solve so
far. `knots` are the increasing times between the steps of the forward solve.
"""
mutable struct Quadrature{I, T}
    const integrand::I
    const knots::Vector{Float64}
    const abstol::T
    const reltol::T
    const total::Vector{T}
    const λ::Vector{T}
    const value::Vector{T}
    const fine::Vector{T} # Lobatto's rule
    const coarse::Vector{T} # Simpson's
    const absolute::Vector{T} # the integral of the absolute value
    const pending::Vector{NTuple{2, Float64}}
    begin_value::Vector{T} # where the next piece begins, if that is at `begins`
    end_value::Vector{T}
    begins::Float64
    const state::Vector{T} # the adjoint variable there
end

function Quadrature(integrand, knots, n, np, abstol::T, reltol::T) where {T}
    total, value, fine, coarse, absolute, begin_value, end_value = (zeros(T, np) for _ in 1:7)
    return Quadrature(
        integrand, convert(Vector{Float64}, knots), abstol, reltol, total, zeros(T, n), value, fine, coarse, absolute,
        NTuple{2, Float64}[], begin_value, end_value, NaN, zeros(T, n)
    )
end

"""The quadrature as a callback that looks at every step; it must come before those that change the adjoint variable."""
integrating(quadrature::Quadrature) =
    DiscreteCallback(Returns(true), quadrature; save_positions = (false, false))

function (quadrature::Quadrature)(integrator)
    quadrature.state == integrator.uprev || (quadrature.begins = NaN) # the loss has changed the adjoint variable
    add!(quadrature, integrator, Float64(integrator.tprev), Float64(integrator.t))
    copyto!(quadrature.state, integrator.u)
    SciMLBase.derivative_discontinuity!(integrator, false)
    return nothing
end

function add!(quadrature::Quadrature, integrator, from::Float64, to::Float64)
    (; pending, total, fine, knots) = quadrature
    cut_at_knots!(pending, knots, from, to)
    while !isempty(pending)
        from, to = pop!(pending)
        estimate!(quadrature, integrator, from, to)
        middle = (from + to) / 2
        if abs(to - from) <= SHORTEST * eps(max(abs(from), abs(to))) || is_accurate(quadrature)
            total .+= fine
            (; begin_value, end_value) = quadrature
            quadrature.begin_value, quadrature.end_value, quadrature.begins = end_value, begin_value, to
        else
            push!(pending, (middle, to), (from, middle))
        end
    end
    return nothing
end

"""Pieces of a step, the first one last, with few enough steps of the forward solve in each."""
function cut_at_knots!(pending, knots, from, to)
    low, high = minmax(from, to)
    within = searchsortedfirst(knots, nextfloat(low)):searchsortedlast(knots, prevfloat(high))
    cuts = knots[first(within):KNOTS_A_PIECE:last(within)]
    from > to && reverse!(cuts)
    ends = length(within) > KNOTS_A_PIECE ? [from; cuts; to] : [from, to]
    for i in (length(ends) - 1):-1:1
        push!(pending, (ends[i], ends[i + 1]))
    end
    return nothing
end

"""Both rules, and the integral of the absolute value, over a piece."""
function estimate!(quadrature::Quadrature{I, T}, integrator, from, to) where {I, T}
    (; value, fine, coarse, absolute, begin_value, end_value) = quadrature
    middle, half = (from + to) / 2, (to - from) / 2
    from == quadrature.begins || evaluate!(begin_value, quadrature, integrator, from)
    quadrature.begins = from
    evaluate!(end_value, quadrature, integrator, to)
    in_fine, in_coarse = T(half * LOBATTO_END), T(half * SIMPSON_END)
    @inbounds @simd for i in eachindex(fine)
        first, last = begin_value[i], end_value[i]
        fine[i] = in_fine * (first + last)
        coarse[i] = in_coarse * (first + last)
        absolute[i] = abs(in_fine) * (abs(first) + abs(last))
    end
    for (node, in_fine, in_coarse) in (
            (-INNER, LOBATTO_INNER, 0.0), (0.0, LOBATTO_MIDDLE, SIMPSON_MIDDLE), (INNER, LOBATTO_INNER, 0.0),
        )
        evaluate!(value, quadrature, integrator, middle + half * node)
        add_value!(fine, coarse, absolute, value, T(half * in_fine), T(half * in_coarse))
    end
    return nothing
end

function evaluate!(value, quadrature::Quadrature, integrator, t)
    integrator(quadrature.λ, t)
    quadrature.integrand(value, t, quadrature.λ)
    return nothing
end

function add_value!(fine, coarse, absolute, value, in_fine, in_coarse)
    @inbounds @simd for i in eachindex(fine)
        fine[i] += in_fine * value[i]
        coarse[i] += in_coarse * value[i]
        absolute[i] += abs(in_fine * value[i])
    end
    return nothing
end

"""
Whether the piece is known to the tolerances, each parameter by itself. Where all is smooth, Lobatto's rule has the square
of Simpson's error; the power of 3/2 is right where a kink is left too (as in QUADPACK, Piessens et al. 1983).
"""
function is_accurate(quadrature::Quadrature{I, T}) where {I, T}
    (; abstol, reltol, total, fine, coarse, absolute) = quadrature
    accurate = true
    @inbounds @simd for i in eachindex(total)
        size, difference = absolute[i], abs(fine[i] - coarse[i])
        allowed = max(abstol + reltol * max(abs(total[i]), abs(total[i] + fine[i])), ROUNDING * eps(T) * size)
        # size * (difference / size)^(3/2), or the size itself if that is less; not where it is NaN: that ends at the shortest
        accurate &= (difference^3 <= allowed^2 * size) | (size <= allowed)
    end
    return accurate
end

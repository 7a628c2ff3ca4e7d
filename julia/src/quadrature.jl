# The gradient with respect to the parameters as an integral along the backward solve, to that solve's tolerances.
#
# `GaussAdjoint` and `GaussKronrodAdjoint` keep this integral out of the adjoint's state: the steps of the solve suit the
# adjoint variable, and may not see what it is multiplied by. SciMLSensitivity takes a rule without an error estimate, or
# one with a fixed tolerance; here each step is cut in halves until the estimate is within the tolerances asked for.

# Gauss's rule of 2 points and Kronrod's extension of it to 5, on [-1, 1], without the point in the middle.
const NODES = (sqrt(6 / 7), sqrt(1 / 3))
const KRONROD_WEIGHTS = (98 / 495, 27 / 55)
const MIDDLE_WEIGHT = 28 / 45

const SHORTEST = 16 # units in the last place of a time: pieces are not cut further
const ROUNDING = 64 # of a piece's value: what no rule can do better than
const SAFETY = 0.1 # of the tolerance for each piece, as their errors add up
const KNOTS_A_PIECE = 3 # steps of the forward solve: where it took more, the piece is cut before it is looked at

"""
    Quadrature(integrand, knots, n, np, abstol, reltol)

The integral of `integrand(out, t, λ)`, `np` numbers for an adjoint variable of `n`, over the steps of a backward solve so
far. `knots` are the increasing times between the steps of the forward solve.
"""
struct Quadrature{I, T}
    integrand::I
    knots::Vector{Float64}
    abstol::T
    reltol::T
    total::Vector{T}
    λ::Vector{T}
    value::Vector{T}
    kronrod::Vector{T}
    gauss::Vector{T}
    absolute::Vector{T} # the integral of the absolute value
    pending::Vector{NTuple{2, Float64}}
end

function Quadrature(integrand, knots, n, np, abstol::T, reltol::T) where {T}
    zero_of_p() = zeros(T, np)
    return Quadrature(
        integrand, convert(Vector{Float64}, knots), abstol, reltol, zero_of_p(), zeros(T, n), zero_of_p(), zero_of_p(),
        zero_of_p(), zero_of_p(), NTuple{2, Float64}[]
    )
end

"""The quadrature as a callback that looks at every step; it must come before those that change the adjoint variable."""
integrating(quadrature::Quadrature) =
    DiscreteCallback(Returns(true), quadrature; save_positions = (false, false))

function (quadrature::Quadrature)(integrator)
    add!(quadrature, integrator, Float64(integrator.tprev), Float64(integrator.t))
    SciMLBase.derivative_discontinuity!(integrator, false)
    return nothing
end

function add!(quadrature::Quadrature, integrator, from::Float64, to::Float64)
    (; pending, total, kronrod, knots) = quadrature
    cut_at_knots!(pending, knots, from, to)
    while !isempty(pending)
        from, to = pop!(pending)
        estimate!(quadrature, integrator, from, to)
        middle = (from + to) / 2
        if abs(to - from) <= SHORTEST * eps(max(abs(from), abs(to))) || is_accurate(quadrature)
            total .+= kronrod
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
    (; integrand, λ, value, kronrod, gauss, absolute) = quadrature
    middle, half = (from + to) / 2, (to - from) / 2
    function evaluate!(node)
        t = middle + half * node
        integrator(λ, t)
        integrand(value, t, λ)
        return nothing
    end
    evaluate!(0.0)
    kronrod .= T(half * MIDDLE_WEIGHT) .* value
    absolute .= abs.(kronrod)
    gauss .= 0
    for (node, weight) in zip(NODES, KRONROD_WEIGHTS), side in (-1, 1)
        evaluate!(side * node)
        kronrod .+= T(half * weight) .* value
        absolute .+= T(abs(half) * weight) .* abs.(value)
        node === last(NODES) && (gauss .+= T(half) .* value)
    end
    return nothing
end

"""
Whether the piece is known to the tolerances, each parameter by itself. Kronrod's rule has the square of the other one's
error, about; the power of 3/2 of ten times that is on the safe side (as in QUADPACK, Piessens et al. 1983).
"""
function is_accurate(quadrature::Quadrature{I, T}) where {I, T}
    (; abstol, reltol, total, kronrod, gauss, absolute) = quadrature
    accurate = true
    for i in eachindex(total)
        size = absolute[i]
        difference = abs(kronrod[i] - gauss[i])
        error = iszero(size) ? difference : size * min(1, sqrt(10 * difference / size)^3)
        allowed = T(SAFETY) * (abstol + reltol * max(abs(total[i]), abs(total[i] + kronrod[i])))
        accurate &= error <= max(allowed, ROUNDING * eps(T) * size) # not where it is NaN, which ends at the shortest
    end
    return accurate
end

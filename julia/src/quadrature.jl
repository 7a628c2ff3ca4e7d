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
    fine::Vector{T} # Lobatto's rule
    coarse::Vector{T} # Simpson's
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
    (; pending, total, fine, knots) = quadrature
    cut_at_knots!(pending, knots, from, to)
    while !isempty(pending)
        from, to = pop!(pending)
        estimate!(quadrature, integrator, from, to)
        middle = (from + to) / 2
        if abs(to - from) <= SHORTEST * eps(max(abs(from), abs(to))) || is_accurate(quadrature)
            total .+= fine
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
function estimate!(quadrature::Quadrature, integrator, from, to)
    (; fine, coarse, absolute) = quadrature
    middle, half = (from + to) / 2, (to - from) / 2
    foreach(values -> fill!(values, 0), (fine, coarse, absolute))
    add_value!(quadrature, integrator, middle, half * LOBATTO_MIDDLE, half * SIMPSON_MIDDLE)
    for side in (-1, 1)
        add_value!(quadrature, integrator, middle + side * half * INNER, half * LOBATTO_INNER, 0.0)
        add_value!(quadrature, integrator, side < 0 ? from : to, half * LOBATTO_END, half * SIMPSON_END)
    end
    return nothing
end

function add_value!(quadrature::Quadrature{I, T}, integrator, t, for_fine, for_coarse) where {I, T}
    (; integrand, λ, value, fine, coarse, absolute) = quadrature
    integrator(λ, t)
    integrand(value, t, λ)
    fine .+= T(for_fine) .* value
    absolute .+= T(abs(for_fine)) .* abs.(value)
    iszero(for_coarse) || (coarse .+= T(for_coarse) .* value)
    return nothing
end

"""
Whether the piece is known to the tolerances, each parameter by itself. Where all is smooth, Lobatto's rule has the square
of Simpson's error; the power of 3/2 is right where a kink is left too (as in QUADPACK, Piessens et al. 1983).
"""
function is_accurate(quadrature::Quadrature{I, T}) where {I, T}
    (; abstol, reltol, total, fine, coarse, absolute) = quadrature
    accurate = true
    for i in eachindex(total)
        size = absolute[i]
        difference = abs(fine[i] - coarse[i])
        error = iszero(size) ? difference : size * min(1, sqrt(difference / size)^3)
        allowed = T(SAFETY) * (abstol + reltol * max(abs(total[i]), abs(total[i] + fine[i])))
        accurate &= error <= max(allowed, ROUNDING * eps(T) * size) # not where it is NaN, which ends at the shortest
    end
    return accurate
end

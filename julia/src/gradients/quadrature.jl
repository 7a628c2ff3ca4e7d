# The gradient with respect to the parameters as an integral along the backward solve, to that solve's tolerances.
#
# `GaussAdjoint`, `GaussKronrodAdjoint` and `DelayAdjoint` keep this integral out of the adjoint's state: the steps of the
# solve suit the adjoint variable, and may not see what it is multiplied by. SciMLSensitivity takes a rule without an error
# estimate, or one with a fixed tolerance; here each step is cut in halves until the estimate is within the tolerances.

# Lobatto's rule of 5 points on [-1, 1], with Simpson's on three of these. Both have the ends among their points, so that a
# jump anywhere in between is seen: rules without, as Gauss's and Kronrod's are, know nothing of what is next to the ends.
const INNER = sqrt(3 / 7)
const LOBATTO_END, LOBATTO_INNER, LOBATTO_MIDDLE = 1 / 10, 49 / 90, 32 / 45
const SIMPSON_END, SIMPSON_MIDDLE = 1 / 3, 4 / 3

const SHORTEST = 16 # units in the last place of a time: pieces are not cut further
const ROUNDING = 64 # of a piece's value: what no rule can do better than
const KNOTS_A_PIECE = 5 # within it, between steps of the forward solve: with more, the piece is cut before it is looked at

"""
    Quadrature(integrand, knots, n, total, abstol, reltol)

The integral of `integrand(out, t, λ)`, as many numbers as `total` has for an adjoint variable of `n`, over the steps of a backward solve so
far. `knots` are the increasing times between the steps of the forward solve.
"""
mutable struct Quadrature{I, T}
    const integrand::I
    const knots::Vector{Float64}
    const abstol::T
    const reltol::T
    const total::Vector{T}
    const λ::Vector{T}
    const values::Vector{Vector{T}} # of the integrand at the five points of a piece, in their order
    const pending::Vector{NTuple{2, Float64}}
    begins::Float64 # the time of the first of them, if that is known already
    const state::Vector{T} # the adjoint variable there
end

"""The integral is added up in `total`."""
function Quadrature(integrand, knots, n, total::Vector{T}, abstol::T, reltol::T) where {T}
    return Quadrature(
        integrand, convert(Vector{Float64}, knots), abstol, reltol, fill!(total, 0), zeros(T, n),
        take_vectors(T, length(total), POINTS), NTuple{2, Float64}[], NaN, zeros(T, n)
    )
end

const POINTS = 5 # of a piece

"""Let others have the memory of a quadrature that is done."""
leave!(quadrature::Quadrature) = leave_vectors!(quadrature.values)


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
    (; pending, knots, values) = quadrature
    cut_at_knots!(pending, knots, from, to)
    while !isempty(pending)
        from, to = pop!(pending)
        half = (to - from) / 2
        evaluate!(quadrature, integrator, from, to)
        if abs(to - from) <= SHORTEST * eps(max(abs(from), abs(to))) || is_accurate(quadrature, half)
            add_fine!(quadrature, half)
            values[1], values[5] = values[5], values[1]
            quadrature.begins = to
        else
            quadrature.begins = from
            push!(pending, (from + half, to), (from, from + half))
        end
    end
    return nothing
end

"""Pieces of a step, the first one last, with few enough steps of the forward solve in each."""
function cut_at_knots!(pending, knots, from, to)
    low, high = minmax(from, to)
    within = searchsortedfirst(knots, nextfloat(low)):searchsortedlast(knots, prevfloat(high))
    pieces = length(within) ÷ (KNOTS_A_PIECE + 1) + 1
    cuts = [knots[within[(i * length(within)) ÷ pieces]] for i in 1:(pieces - 1)]
    from > to && reverse!(cuts)
    ends = [from; cuts; to]
    for i in pieces:-1:1
        push!(pending, (ends[i], ends[i + 1]))
    end
    return nothing
end

function evaluate!(quadrature::Quadrature, integrator, from, to)
    middle, half = (from + to) / 2, (to - from) / 2
    (; values, λ) = quadrature
    known = from == quadrature.begins ? 1 : 0
    for (value, t) in Iterators.drop(zip(values, (from, middle - half * INNER, middle, middle + half * INNER, to)), known)
        integrator(λ, t)
        quadrature.integrand(value, t, λ)
    end
    return nothing
end

"""Lobatto's rule over a piece, from the sums of the values at its ends and at its inner points, and that at its middle."""
lobatto(half::T, ends, inner, middle) where {T} =
    half * (T(LOBATTO_END) * ends + T(LOBATTO_INNER) * inner + T(LOBATTO_MIDDLE) * middle)

function add_fine!(quadrature::Quadrature, half)
    (; total) = quadrature
    first, before, middle, after, last = quadrature.values
    h = eltype(total)(half)
    @inbounds @simd for i in eachindex(total)
        total[i] += lobatto(h, first[i] + last[i], before[i] + after[i], middle[i])
    end
    return nothing
end

"""
Whether the piece is known to the tolerances, each parameter by itself. Where all is smooth, Lobatto's rule has the square
of Simpson's error; the power of 3/2 is right where a kink is left too (as in QUADPACK, Piessens et al. 1983). What swings
faster than the points lie can make both rules agree; the odd part of the integrand is small as well only where all is
smooth (null rules, as Berntsen and Espelid 1991 have them): its cubic has order 3, and the power of 5/2 takes it beyond that
of Lobatto's rule.
"""
function is_accurate(quadrature::Quadrature{I, T}, half) where {I, T}
    (; total, abstol, reltol) = quadrature
    first, before, middle, after, last = quadrature.values
    h, inner_at, simpson_end, simpson_middle = map(T, (half, INNER, SIMPSON_END, SIMPSON_MIDDLE))
    rounding = T(ROUNDING) * eps(T)
    accurate = true
    @inbounds @simd for i in eachindex(total)
        sum, v1, v2, v3, v4, v5 = total[i], first[i], before[i], middle[i], after[i], last[i]
        ends, inner = v1 + v5, v2 + v4
        fine = lobatto(h, ends, inner, v3)
        size = abs(h) * T(0.4) * (abs(v1) + abs(v2) + abs(v3) + abs(v4) + abs(v5)) # of twice `half`, a fifth
        allowed = max(abstol + reltol * max(abs(sum), abs(sum + fine)), rounding * size)
        # Relative to the size: of such numbers no power overflows, and one that vanishes is small enough.
        difference = abs(fine - h * (simpson_end * ends + simpson_middle * v3)) / size
        cubic = abs(h * (inner_at * (v5 - v1) - (v4 - v2))) / size
        times = size / allowed
        # The powers of 3/2 and 5/2, squared; or the size itself if that is less. Not where these are NaN: that ends at
        # the shortest.
        agrees = (difference^3 * times^2 <= 1) & (cubic^3 * cubic^2 * times^2 <= 1) # the 5th power is a call
        accurate &= agrees | (size <= allowed)
    end
    return accurate
end

# The adjoint of delay equations (as in Zhu, Guo and Lin 2021, "Neural delay differential equations", for several lags, with
# the gradients of the history, the lags and the times):
#
#     λ' = -λᵀ ∂f/∂u - Σ (λᵀ ∂f/∂u(t - lag)) at t + lag, as far as that is before the end,
#
# with a jump by the loss's gradient at each of its times. It is solved backwards piece by piece: none is longer than the
# shortest lag, so that what it has of later times is known, and whatever jumps does so between two pieces.

"""The time between two ends; a function that jumps at one of them is asked about what is between."""
struct Piece
    from::Float64
    to::Float64
end

middle(piece::Piece) = (piece.from + piece.to) / 2
Base.in(t::Real, piece::Piece) = piece.from <= t <= piece.to
within(piece::Piece, t) = clamp(Float64(t), nextfloat(piece.from), prevfloat(piece.to))

"""
The pieces between the times of a solve, the last one first: they end where the loss has a gradient, where the start is seen
through one lag or two, and one lag before each of these.
"""
function pieces_of(t, lags, stops)
    start, stop = t[1], t[end]
    ends = [t; stops; start .+ lags; vec(start .+ lags .+ lags')]
    for lag in lags
        append!(ends, ends[1:(length(t) + length(stops) + length(lags))] .- lag)
    end
    ends = unique_times(filter!(time -> start <= time <= stop, ends))
    pieces = Piece[]
    for (from, to) in zip(ends, Iterators.drop(ends, 1))
        count = ceil(Int, (to - from) / minimum(lags) * (1 - sqrt(eps())))
        cuts = range(from, to; length = count + 1)
        append!(pieces, (Piece(cuts[i], cuts[i + 1]) for i in 1:count))
    end
    return reverse!(pieces)
end

"""The times in order, each once: what differs by rounding alone is one time."""
function unique_times(times)
    sort!(times)
    found = [times[1]]
    nearest = SHORTEST * eps(maximum(abs, times))
    for time in times
        time - found[end] > nearest && push!(found, time)
    end
    found[end] = times[end]
    return found
end

"""What the adjoint of a delay equation asks of the forward solution, and of the adjoint variable so far."""
mutable struct Advanced{T, S, P <: DelayProducts}
    const sol::S
    const rhs::CFunction{TwoVectors}
    const history::History{T}
    const products::P
    const lags::Vector{Float64}
    const start::Float64
    const stop::Float64
    const point::Matrix{T} # the states at all lags, then the state
    const product::Matrix{T} # of it
    const later::Vector{T}
    const solved::Vector{SciMLBase.AbstractODESolution} # the adjoint variable, piece by piece
    const begins::Vector{Float64} # of these pieces, falling
    piece::Piece
end

function Advanced(solved::Solved{<:Delayed{T}}) where {T}
    (; equation, sol, t) = solved
    n, lags = equation.history.size, Float64.(equation.rhs.lags)
    columns() = zeros(T, n, length(lags) + 1)
    return Advanced(
        sol, equation.rhs.c_rhs, equation.history, something(equation.products), lags, t[1], t[end],
        columns(), columns(), zeros(T, n), SciMLBase.AbstractODESolution[], Float64[], Piece(t[1], t[end])
    )
end

"""Write the state at a time: before the start, as a time within the piece tells by the `lag` between, it is the history."""
function state!(out, adjoint::Advanced, t, lag)
    (; sol, history, start, piece) = adjoint
    middle(piece) - lag < start ? history(out, nothing, t) : sol(out, clamp(t, sol.t[1], sol.t[end]))
    return out
end

"""The states at all lags before `t` and that at `t`, which lies `lag` before the piece (after it, where that is less than 0)."""
function point!(adjoint::Advanced, t, lag = 0.0)
    (; point, lags) = adjoint
    for (column, own) in zip(eachcol(point), lags)
        state!(column, adjoint, t - own, lag + own)
    end
    state!(view(point, :, length(lags) + 1), adjoint, t, lag)
    return point
end

"""The product of `λ` at `t` with the derivative by the point there: a column for each lag, and one for the state."""
function product!(adjoint::Advanced, λ, t, lag = 0.0)
    point = point!(adjoint, t, lag)
    call!(adjoint.products.vjp, vec(adjoint.product), λ, vec(point), within(adjoint.piece, t + lag) - lag)
    return adjoint.product
end

"""The adjoint variable at a later time, which lies `lag` after the piece."""
function later!(adjoint::Advanced, t, lag)
    (; later, solved, begins, piece) = adjoint
    inside = t + (middle(piece) + lag - t) / 2^20
    number = searchsortedfirst(begins, inside; rev = true)
    solution = solved[number]
    solution(later, clamp(t, solution.t[end], solution.t[1]))
    return later
end

function (adjoint::Advanced)(dλ, λ, p, t)
    (; lags, stop, piece) = adjoint
    dλ .= .-view(product!(adjoint, λ, t), :, length(lags) + 1)
    for (i, lag) in enumerate(lags)
        middle(piece) + lag < stop || continue
        λ_later = later!(adjoint, t + lag, lag)
        dλ .-= view(product!(adjoint, λ_later, t + lag, -lag), :, i)
    end
    return nothing
end

"""What a gradient has of the lags and of the times, which come last among the parameters."""
function lags_and_times(adjoint::Advanced, dp, n_times)
    (; lags, products) = adjoint
    times = (length(dp) - products.times * n_times + 1):length(dp)
    return view(dp, (first(times) - products.lags * length(lags)):(first(times) - 1)), view(dp, times)
end

"""
What the gradients are integrals of, with its sign turned, as they go backwards, for `Quadrature`; that by the lags begins
at their place.
"""
struct DelayIntegrand{A <: Advanced, T}
    adjoint::A
    of_lags::Int
    product::Vector{T}
    slope::Vector{T}
end

function (integrand::DelayIntegrand)(out, t, λ)
    (; adjoint, of_lags, product, slope) = integrand
    (; products, lags, start, piece) = adjoint
    call!(products.vjp_p, product, λ, vec(point!(adjoint, t)), within(piece, t))
    out .= .-product
    products.lags || middle(piece) - maximum(lags) < start || return nothing
    to_past = copy(product!(adjoint, λ, t))
    for (i, lag) in enumerate(lags)
        to_state, is_history = to_past[:, i], middle(piece) - lag < start
        if is_history
            call!(products.history_vjp_p, product, to_state, to_state, t - lag)
            out .-= product
        end
        products.lags || continue
        to_lag = view(out, (of_lags + i - 1):(of_lags + i - 1))
        is_history ? call!(products.history_vjp_t, to_lag, to_state, t - lag) :
            (to_lag .= dot(to_state, slope!(slope, adjoint, t - lag, lag)))
    end
    return nothing
end

"""Write the derivative at a time that lies `lag` before the piece."""
function slope!(out, adjoint::Advanced, t, lag = 0.0)
    point!(adjoint, t, lag)
    slope_at_point!(out, adjoint, within(adjoint.piece, t + lag) - lag)
    return out
end

function slope_at_point!(out, adjoint::Advanced, t)
    n, (; point) = length(out), adjoint
    call!(adjoint.rhs, out, view(vec(point), 1:(length(point) - n)), point[:, end], t)
    return out
end

function gradients!(
        dy0::Vector{T}, dp::Vector{T}, solved::Solved{<:Delayed}, grads, alg, ::DelayAdjoint;
        abstol, reltol, control::StepControl
    ) where {T}
    t = solved.t
    adjoint, λ, slope = Advanced(solved), zero(dy0), zero(dy0)
    of_lags, of_times = lags_and_times(adjoint, dp, length(t))
    integrand = DelayIntegrand(adjoint, first(parentindices(of_lags)[1]), zero(dp), zero(dy0))
    quadrature = Quadrature(integrand, solved.sol.t, length(dy0), zero(dp), abstol, reltol)
    fill!(dp, 0)
    last = length(t)
    for piece in pieces_of(t, adjoint.lags, [control.tstops; control.d_discontinuities])
        adjoint.piece = piece
        note_jumps!(of_lags, of_times, adjoint, λ)
        while last > 1 && t[last] > middle(piece)
            grad = view(grads, :, last)
            λ .+= grad
            isempty(of_times) || (of_times[last] = dot(grad, slope!(slope, adjoint, t[last])))
            last -= 1
        end
        copyto!(λ, solve_piece!(adjoint, quadrature, λ, alg; abstol, reltol, control))
    end
    dy0 .= λ .+ view(grads, :, 1)
    isempty(of_times) || (of_times[1] -= dot(λ, slope!(slope, adjoint, t[1])))
    add_to!(dp, quadrature.total)
    leave!(quadrature)
    return nothing
end

"""Solve for the adjoint variable over the piece, and return it at the start of that; add what the integrals have there."""
function solve_piece!(adjoint::Advanced, quadrature, λ, alg; abstol, reltol, control)
    (; from, to) = adjoint.piece
    prob = ODEProblem{true, SciMLBase.FullSpecialize}(adjoint, copy(λ), (to, from))
    told = (; abstol, reltol, control.listeners, solve_options(control, alg, [to, from])...)
    sol = quietly(() -> completed(run_to_end(prob, alg; told...)...))
    push!(adjoint.solved, sol)
    push!(adjoint.begins, from)
    quadrature.begins = NaN
    isempty(quadrature.total) || foreach((a, b) -> add!(quadrature, sol, a, b), sol.t, Iterators.drop(sol.t, 1))
    return sol.u[end]
end

"""
Where the history does not end in the initial state, the right-hand side jumps when the start is seen through a lag, and
the time of that jump moves with the lag and with the start.
"""
function note_jumps!(of_lags, of_times, adjoint::Advanced{T}, λ) where {T}
    isempty(of_lags) && isempty(of_times) && return nothing
    (; lags, start, piece, history, sol, point) = adjoint
    before, after = zero(λ), zero(λ)
    for (i, lag) in enumerate(lags)
        middle(piece) < start + lag <= piece.to + SHORTEST * eps(piece.to) || continue
        history(before, nothing, start) == sol.u[1] && continue
        slope!(before, adjoint, start + lag)
        copyto!(view(point, :, i), sol.u[1])
        slope_at_point!(after, adjoint, start + lag)
        jump = dot(λ, before) - dot(λ, after)
        isempty(of_lags) || (of_lags[i] += jump)
        isempty(of_times) || (of_times[1] += jump)
    end
    return nothing
end

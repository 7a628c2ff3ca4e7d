# The discrete adjoint of Adams steps, each of which depends on derivatives at the starts of steps before it.

"""
What the forward solve has noted of its steps, in `walked`; `to_past` are the gradients with respect to derivatives at the
starts of steps, by their numbers, as far as later steps have them; `stages` those of a step of the starter.
"""
struct AdamsReplay{U, T}
    walked::AdamsMemory{U, T}
    to_past::Dict{Int, U}
    stages::Stages{T}
end

function replayed(alg::FixedSteps{Adams}, sol)
    u = sol.u[1]
    return AdamsReplay(sol.interp.cache.memory, Dict{Int, typeof(u)}(), Stages(ExplicitMethod(alg.scheme.starter.tableau), u))
end

function step_back!(back, dp, sol, replay::AdamsReplay, products, step)
    (; walked, to_past, stages) = replay
    at_start = get!(() -> zero(back), to_past, step)
    if walked.used[step] < FEWEST_DERIVATIVES
        evaluate!(stages, sol, step)
        add_to!(at_start, pull_stages!(back, dp, sol, stages, products, step, 2))
    else
        multistep_back!(back, dp, sol, replay, products, step)
    end
    copyto!(products.to_k, at_start)
    add_to!(back, pull!(products, dp, sol.u[step], time_at(step_of(sol, step), 0, eltype(back))))
    delete!(to_past, step)
    return back
end

"""Go back through the corrections of a step, and what they began with."""
function multistep_back!(back::Vector{T}, dp, sol, replay, products, step) where {T}
    (; scheme) = sol.alg
    stepped, used = step_of(sol, step), replay.walked.used[step]
    h, to_state = stepped.stop - stepped.start, copy(back) # with respect to the state so far, but for its start
    iterates = replay.walked.corrections[step] > 0 ? corrected(sol, replay, step) : typeof(back)[]
    for state in reverse(iterates)
        at_end, weights... = scheme.moulton[used + 1]
        add_past!(replay, h, weights, to_state, step)
        products.to_k .= T(h * at_end) .* to_state
        copyto!(to_state, pull!(products, dp, state, time_at(stepped, 1, T)))
        add_to!(back, to_state)
    end
    add_past!(replay, h, scheme.bashforth[used], to_state, step)
    return back
end

"""Add what derivatives of the past have with these weights in a step's end."""
function add_past!(replay, h, weights, to_state::Vector{T}, step) where {T}
    for (before, weight) in enumerate(weights)
        add_scaled!(get!(() -> zero(to_state), replay.to_past, step - before + 1), T(h * weight), to_state)
    end
    return nothing
end

"""The states at a step's end that were corrected, one after another."""
function corrected(sol, replay, step)
    (; scheme) = sol.alg
    stepped, used, u, f = step_of(sol, step), replay.walked.used[step], sol.u[step], OfState(sol.prob.f, sol.prob.p)
    h, T = stepped.stop - stepped.start, eltype(u)
    past = map(step:-1:(step - used + 1)) do earlier
        derivative = zero(u)
        f(derivative, sol.u[earlier], time_at(step_of(sol, earlier), 0, T))
        derivative
    end
    iterates, derivative = [add_stages!(similar(u), u, h, scheme.bashforth[used], past)], zero(u)
    for _ in 2:replay.walked.corrections[step]
        f(derivative, iterates[end], time_at(stepped, 1, T))
        push!(iterates, add_stages!(similar(u), u, h, scheme.moulton[used + 1], [[derivative]; past]))
    end
    return iterates
end

# The discrete adjoint of stochastic steps: the exact gradient of a path, along the increments that were drawn for it.

"""The functions of a stochastic equation, and memory for going back through its steps; `L` is a vector, or a matrix."""
struct NoiseReplay{T, L, W}
    tableau::NoiseTableau
    drift::Differentiable
    diffusion::Differentiable
    noise::W # its increments over each step
    states::Vector{Vector{T}} # at each evaluation, and at the end
    slopes::Vector{Vector{T}} # of drifts, by their numbers among all evaluations
    rates::Vector{L} # of diffusions
    to_states::Vector{Vector{T}} # gradients by each state
    to_state::Vector{T}
    to_parameters::Vector{T}
end

function replayed(sol::SciMLBase.AbstractRODESolution)
    u, prototype = sol.u[1], sol.prob.noise_rate_prototype
    tableau = something(noise_tableau(sol.alg))
    n = length(tableau.c)
    vectors(count) = [zero(u) for _ in 1:count]
    rates = [prototype === nothing ? zero(u) : zeros(eltype(u), size(prototype)) for _ in 1:n]
    return NoiseReplay(
        tableau, sol.prob.f.f, sol.prob.f.g, sol.W, vectors(n + 1), vectors(n), rates, vectors(n + 1), zero(u),
        zeros(eltype(u), length(sol.prob.p))
    )
end

"""
What multiplies an evaluation where it is in the state with number `later`: the weights of its factors with them, for each
process.
"""
function scale(tableau::NoiseTableau, before, later, h::T, dW, dZ) where {T}
    weights = view(tableau.weights, :, before, later)
    tableau.is_diffusion[before] || return T[h * T(weights[1])]
    return map((w, z) -> T(sum(splat(*), zip(weights, factors(h, w, z)))), dW, dZ)
end

is_in(tableau::NoiseTableau, before, later) = any(!iszero, view(tableau.weights, :, before, later))

"""What a diffusion adds to a state, and the gradient by the diffusion of what that is."""
along(rates::AbstractVector, scales) = rates .* scales
along(rates::AbstractMatrix, scales) = rates * scales
to_rates(::AbstractVector, to_state, scales) = to_state .* scales
to_rates(::AbstractMatrix, to_state, scales) = to_state * scales'

function step_back!(back, dp, sol, replay::NoiseReplay, products, step)
    from, to = sol.t[step], sol.t[step + 1]
    h, noise = to - from, replay.noise[step]
    take_again!(replay, sol.u[step], from, h, noise...)
    T = eltype(back)
    isapprox(replay.states[end], sol.u[step + 1]; rtol = cbrt(eps(T)), atol = cbrt(eps(T))^2) || throw(
        UnsupportedError(
            "DiscreteAdjoint does not know the steps of $(nameof(typeof(sol.alg))) along such noise; name 'EM', or " *
                "'EulerHeun'."
        )
    )
    return pull_step!(back, dp, replay, from, h, noise...)
end

"""Take the step again from `u`."""
function take_again!(replay::NoiseReplay, u, t, h, dW, dZ)
    (; tableau, drift, diffusion, states, slopes, rates) = replay
    for (later, state) in enumerate(states)
        copyto!(state, u)
        for before in 1:(later - 1)
            is_in(tableau, before, later) || continue
            scales = scale(tableau, before, later, h, dW, dZ)
            state .+= tableau.is_diffusion[before] ? along(rates[before], scales) : scales .* slopes[before]
        end
        later == length(states) && break
        f, out = tableau.is_diffusion[later] ? (diffusion, rates[later]) : (drift, slopes[later])
        call!(f.c_value, out, state, t + tableau.c[later] * h)
    end
    return nothing
end

"""Turn `back`, by the state at the end of the step, into that by the state at its start, and add to `dp`."""
function pull_step!(back, dp, replay::NoiseReplay, t, h, dW, dZ)
    (; tableau, drift, diffusion, states, rates, to_states) = replay
    n = length(tableau.c)
    copyto!(to_states[end], back)
    for before in n:-1:1
        fill!(to_states[before], 0)
        later = [number for number in (before + 1):(n + 1) if is_in(tableau, before, number)]
        isempty(later) && continue
        pulled = sum(later) do number
            scales = scale(tableau, before, number, h, dW, dZ)
            tableau.is_diffusion[before] ? to_rates(rates[before], to_states[number], scales) :
                scales .* to_states[number]
        end
        f = tableau.is_diffusion[before] ? diffusion : drift
        copyto!(to_states[before], pull!(replay, f, dp, pulled, states[before], t + tableau.c[before] * h))
        add_to!(back, to_states[before])
    end
    return back
end

"""The product of a function's derivative with `v`, by the state, which is returned, and by the parameters."""
function pull!(replay::NoiseReplay, f::Differentiable, dp, v, u, t)
    (; to_state, to_parameters) = replay
    call!(f.c_vjp, to_state, v, u, t)
    isempty(dp) && return to_state
    call!(f.c_vjp_p, to_parameters, v, u, t)
    add_to!(dp, to_parameters)
    return to_state
end

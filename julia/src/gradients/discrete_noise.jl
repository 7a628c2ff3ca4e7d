# The discrete adjoint of stochastic steps: the exact gradient of a path, along the increments that were drawn for it.

"""A kind of step along noise, of which `advance!` computes the end and `pull_step!` the gradient."""
abstract type NoiseStep end

"""`u + h f(u) + g dW`, with the diffusion of the state after the drift if `split`, at the end's time if `at_end`."""
struct EulerStep <: NoiseStep
    split::Bool
    at_end::Bool
end

"""Heun's step, of Stratonovich's calculus: means of drift and diffusion at both ends, the second by an Euler step."""
struct HeunStep <: NoiseStep end

"""Milstein's step without derivatives, of noise that is diagonal: Ito's calculus or Stratonovich's."""
struct MilsteinStep <: NoiseStep
    ito::Bool
end

"""Of a solver; nothing of one whose steps are not known here."""
function noise_step(alg)
    name = nameof(typeof(alg))
    name in (:EM, :LambaEM) && return EulerStep(parentmodule(typeof(alg)).is_split_step(alg), name === :LambaEM)
    name in (:EulerHeun, :LambaEulerHeun) && return HeunStep()
    name === :RKMil && return MilsteinStep(calculus(alg) == "Ito")
    return nothing
end

"""The functions of a stochastic equation, and memory for going back through its steps."""
struct NoiseReplay{S <: NoiseStep, T, L, W}
    step::S
    drift::Differentiable
    diffusion::Differentiable
    noise::W # that was drawn
    slope::Vector{T}
    rates::NTuple{2, L} # of the diffusion
    after::Vector{T} # the states in a step
    end_::Vector{T}
    to_state::Vector{T}
    to_parameters::Vector{T}
end

function replayed(sol::SciMLBase.AbstractRODESolution)
    u, prototype = sol.u[1], sol.prob.noise_rate_prototype
    rates() = prototype === nothing ? zero(u) : zeros(eltype(u), size(prototype))
    return NoiseReplay(
        noise_step(sol.alg), sol.prob.f.f, sol.prob.f.g, sol.W, zero(u), (rates(), rates()), zero(u), zero(u), zero(u),
        zeros(eltype(u), length(sol.prob.p))
    )
end

"""The increment of the noise over a step, whose ends it may have with other rounding."""
function increment(noise, from, to)
    near = (to - from) / 1000
    start, stop = map(time -> searchsortedfirst(noise.t, time - near), (from, to))
    known = stop <= length(noise.t) && abs(noise.t[start] - from) <= near && abs(noise.t[stop] - to) <= near
    known || throw(UnsupportedError("The noise of the step at t = $from was not kept."))
    return noise.W[stop] - noise.W[start]
end

"""The diffusion's part in a step, and the gradient with respect to the diffusion from that with respect to it."""
along(rates::AbstractVector, dW) = rates .* dW
along(rates::AbstractMatrix, dW) = rates * dW
to_rates(::AbstractVector, to_end, dW) = to_end .* dW
to_rates(::AbstractMatrix, to_end, dW) = to_end * dW'

"""The product of a function's derivative with `v`, by the state, which is returned, and by the parameters."""
function pull!(replay::NoiseReplay, f::Differentiable, dp, v, u, t)
    (; to_state, to_parameters) = replay
    call!(f.c_vjp, to_state, v, u, t)
    isempty(dp) && return to_state
    call!(f.c_vjp_p, to_parameters, v, u, t)
    dp .+= to_parameters
    return to_state
end

function step_back!(back, dp, sol, replay::NoiseReplay, products, step)
    from, to = sol.t[step], sol.t[step + 1]
    u, h, dW = sol.u[step], to - from, increment(replay.noise, from, to)
    advance!(replay, replay.step, u, from, h, dW)
    T = eltype(u)
    isapprox(replay.end_, sol.u[step + 1]; rtol = cbrt(eps(T)), atol = cbrt(eps(T))^2) || throw(
        UnsupportedError(
            "DiscreteAdjoint does not know the steps of this version of $(nameof(typeof(sol.alg))); name 'EulerHeun' " *
                "and sensealg='BacksolveAdjoint'."
        )
    )
    return pull_step!(back, dp, replay, replay.step, u, from, h, dW)
end

function advance!(replay, step::EulerStep, u, t, h, dW)
    (; drift, diffusion, slope, after, end_) = replay
    L = replay.rates[1]
    call!(drift.c_value, slope, u, t)
    after .= u .+ h .* slope
    call!(diffusion.c_value, L, step.split ? after : u, step.at_end ? t + h : t)
    end_ .= after .+ along(L, dW)
    return nothing
end

function pull_step!(back, dp, replay, step::EulerStep, u, t, h, dW)
    (; drift, diffusion, after) = replay
    of_noise = to_rates(replay.rates[1], back, dW)
    at = step.split ? after : u
    by_noise = copy(pull!(replay, diffusion, dp, of_noise, at, step.at_end ? t + h : t))
    step.split && (back .+= by_noise)
    by_drift = pull!(replay, drift, dp, h .* back, u, t)
    back .+= by_drift
    step.split || (back .+= by_noise)
    return back
end

function advance!(replay, ::HeunStep, u, t, h, dW)
    (; drift, diffusion, slope, after, end_) = replay
    L, L_after = replay.rates
    call!(drift.c_value, slope, u, t)
    call!(diffusion.c_value, L, u, t)
    after .= u .+ h .* slope .+ along(L, dW)
    end_ .= u .+ h / 2 .* slope
    call!(drift.c_value, slope, after, t + h)
    call!(diffusion.c_value, L_after, after, t + h)
    end_ .+= h / 2 .* slope .+ along(L .+ L_after, dW) ./ 2
    return nothing
end

function pull_step!(back, dp, replay, ::HeunStep, u, t, h, dW)
    (; drift, diffusion, after) = replay
    L = replay.rates[1]
    of_noise, of_drift = to_rates(L, back, dW) ./ 2, h / 2 .* back
    to_after = copy(pull!(replay, drift, dp, of_drift, after, t + h))
    to_after .+= pull!(replay, diffusion, dp, of_noise, after, t + h)
    of_drift .+= h .* to_after
    of_noise .+= to_rates(L, to_after, dW)
    back .+= to_after
    back .+= pull!(replay, drift, dp, of_drift, u, t)
    back .+= pull!(replay, diffusion, dp, of_noise, u, t)
    return back
end

function advance!(replay, step::MilsteinStep, u, t, h, dW)
    (; drift, diffusion, slope, after, end_) = replay
    L, L_after = replay.rates
    call!(drift.c_value, slope, u, t)
    call!(diffusion.c_value, L, u, t)
    end_ .= u .+ h .* slope
    after .= (step.ito ? end_ : u) .+ sqrt(h) .* L
    call!(diffusion.c_value, L_after, after, t)
    end_ .+= L .* dW .+ correction(step, h, dW) .* (L_after .- L)
    return nothing
end

correction(step::MilsteinStep, h, dW) = (dW .^ 2 .- (step.ito ? h : zero(h))) ./ (2 * sqrt(h))

function pull_step!(back, dp, replay, step::MilsteinStep, u, t, h, dW)
    (; drift, diffusion, after) = replay
    weight = correction(step, h, dW)
    to_after = copy(pull!(replay, diffusion, dp, back .* weight, after, t))
    of_noise = back .* dW .- back .* weight .+ sqrt(h) .* to_after
    of_drift = step.ito ? h .* (back .+ to_after) : h .* back
    back .+= to_after
    back .+= pull!(replay, drift, dp, of_drift, u, t)
    back .+= pull!(replay, diffusion, dp, of_noise, u, t)
    return back
end

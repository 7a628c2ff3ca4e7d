# The discrete adjoint: the exact gradient of the steps that an explicit Runge-Kutta method took.

"""Memory for the stages of one step, and for their adjoints."""
struct Stages{T}
    u::Vector{Vector{T}}
    k::Vector{Vector{T}}
    back::Vector{Vector{T}} # with respect to the states of the stages
    to_k::Vector{T}
    to_p::Vector{T}
end

Stages{T}(stages, n, np) where {T} =
    Stages(([zeros(T, n) for _ in 1:stages] for _ in 1:3)..., zeros(T, n), zeros(T, np))

function backward!(
        dy0::Vector{T}, dp::Vector{T}, sol, grads::Matrix{T}, t::Vector{Float64}, alg, ::DiscreteAdjoint;
        abstol, reltol, control::StepControl
    ) where {T}
    method = tableau(sol.alg)
    stages = Stages{T}(length(method.b), length(dy0), length(dp))
    back = zeros(T, length(dy0))
    fill!(dp, 0)
    last = length(t)
    for step in (length(sol.t) - 1):-1:1
        from, to = Float64(sol.t[step]), Float64(sol.t[step + 1])
        before = zeros(T, length(back)) # with respect to the state before the step, beside what goes through it
        while last > 1 && t[last] > from
            grad = view(grads, :, last)
            t[last] == to ? (back .+= grad) : add_between!(back, before, dp, sol, step, t[last], grad, stages)
            last -= 1
        end
        step_back!(back, dp, sol, method, stages, step)
        back .+= before
    end
    dy0 .= back .+ view(grads, :, 1)
    return nothing
end

"""Turn `back`, with respect to the state after a step, into that before it, and add to `dp` what the stages depend on."""
function step_back!(back, dp, sol, method::Tableau, stages::Stages{T}, step) where {T}
    (; A, b, c) = method
    (; f, p) = sol.prob
    h, stepped = T(sol.t[step + 1] - sol.t[step]), step_of(sol, step)
    times = [time_at(stepped, c[i], T) for i in eachindex(b)]
    for i in eachindex(b)
        stages.u[i] .= sol.u[step]
        for j in 1:(i - 1)
            iszero(A[i, j]) || (stages.u[i] .+= (h * T(A[i, j])) .* stages.k[j])
        end
        f.f(stages.k[i], stages.u[i], p, times[i])
    end
    for i in reverse(eachindex(b))
        stages.to_k .= (h * T(b[i])) .* back
        for l in (i + 1):length(b)
            iszero(A[l, i]) || (stages.to_k .+= (h * T(A[l, i])) .* stages.back[l])
        end
        pull_stage!(stages.back[i], dp, stages, f, stages.u[i], p, times[i])
    end
    foreach(to_u -> back .+= to_u, stages.back)
    return nothing
end

"""A step that a solve took."""
step_of(sol, step) = Step(sol.t[step], sol.t[step + 1], perturbs(sol.alg))

perturbs(alg) = alg isa FixedSteps && alg.perturb

"""Products of the derivative at a point with `stages.to_k`: that by the state into `to_u`, that by `p` added to `dp`."""
function pull_stage!(to_u, dp, stages, f, u, p, t)
    f.vjp(to_u, stages.to_k, u, p, t)
    isempty(dp) && return nothing
    f.vjp_p(stages.to_p, stages.to_k, u, p, t)
    dp .+= stages.to_p
    return nothing
end

"""
Add the gradient of a value between the ends of a step to those with respect to the states there. Such a value is known
as a mean of the states there, or by Hermite's cubic, of the states and the derivatives at both ends.
"""
function add_between!(after, before, dp, sol, step, time, grad, stages::Stages{T}) where {T}
    if sol.alg isa FixedSteps && !sol.alg.cubic
        to_after = T((time - sol.t[step]) / (sol.t[step + 1] - sol.t[step]))
        after .+= to_after .* grad
        before .+= (1 - to_after) .* grad
        return nothing
    end
    SciMLBase.interp_summary(sol.interp) == HERMITE || throw(
        UnsupportedError(
            "DiscreteAdjoint knows the values of $(nameof(typeof(sol.alg))) at the ends of its steps alone, and " *
                "t = $time lies between: put the times of t into options={'tstops': ...}, or choose InterpolatingAdjoint."
        )
    )
    (; f, p) = sol.prob
    from, to = Float64(sol.t[step]), Float64(sol.t[step + 1])
    h = T(to - from)
    θ = T((time - from) / (to - from))
    to_after = θ^2 * (3 - 2θ)
    after .+= to_after .* grad
    before .+= (1 - to_after) .* grad
    start = time_at(step_of(sol, step), 0, T)
    for (weight, at, t, side) in ((θ * (θ - 1)^2, step, start, before), (θ^2 * (θ - 1), step + 1, to, after))
        stages.to_k .= (h * weight) .* grad
        pull_stage!(stages.back[1], dp, stages, f, sol.u[at], p, t)
        side .+= stages.back[1]
    end
    return nothing
end

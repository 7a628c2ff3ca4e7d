# Schemes as solvers of OrdinaryDiffEqCore, which looks after the times, the values in between, events and callbacks.

struct FixedStepsCache{U, M} <: OrdinaryDiffEqCore.OrdinaryDiffEqMutableCache
    u::U
    uprev::U
    first::U # the derivatives at both ends of a step, where a cubic is to go between
    last::U
    memory::M
end

function OrdinaryDiffEqCore.alg_cache(
        alg::FixedSteps, u, rate_prototype, ::Type{A}, ::Type{B}, ::Type{C}, uprev, uprev2, f, t, dt, reltol, p, calck,
        ::Val{true}, verbose
    ) where {A, B, C}
    return FixedStepsCache(u, uprev, zero(u), zero(u), memory(alg.scheme, u))
end

OrdinaryDiffEqCore.get_fsalfirstlast(cache::FixedStepsCache, u) = (cache.first, cache.last)
OrdinaryDiffEqCore.isfsal(::FixedSteps) = false
OrdinaryDiffEqCore.alg_order(alg::FixedSteps) = alg.scheme.order
OrdinaryDiffEqCore.isimplicit(alg::FixedSteps) = alg.scheme isa Implicit

"""The values between the steps follow from what a step leaves, linearly where it leaves no derivatives."""
OrdinaryDiffEqCore._ode_addsteps!(k, t, uprev, u, dt, f, p, ::FixedStepsCache, options...) = nothing

function OrdinaryDiffEqCore.initialize!(integrator, cache::FixedStepsCache)
    integrator.kshortsize = integrator.alg.cubic ? 2 : 0
    resize!(integrator.k, integrator.kshortsize)
    integrator.alg.cubic && (integrator.k .= (cache.first, cache.last))
    (; abstol, reltol) = integrator.opts
    begin_anew!(cache.memory; abstol, reltol)
    return nothing
end

function OrdinaryDiffEqCore.perform_step!(integrator, cache::FixedStepsCache, repeat_step = false)
    (; t, dt, u, uprev, alg, stats) = integrator
    # At the end of a step lies a time of the grid, which a sum may miss by a rounding.
    step = Step(t, integrator.next_step_tstop ? integrator.tstop_target : t + dt, alg.perturb)
    dynamics = Counted(integrator.f, integrator.p, stats)
    solved = advance!(u, alg.scheme, cache.memory, dynamics, uprev, step)
    integrator.force_stepfail = !solved
    stats.nnonlinconvfail = unconverged(cache.memory)
    if alg.cubic
        dynamics(cache.first, uprev, time_at(step, 0, eltype(u)))
        dynamics(cache.last, u, step.stop)
    end
    return nothing
end

"""The dynamics of an integrator, which counts how often they are asked."""
struct Counted{F, P, S}
    f::F
    p::P
    stats::S
end

function (dynamics::Counted)(du, u, t)
    OrdinaryDiffEqCore.increment_nf!(dynamics.stats, 1)
    dynamics.f(du, u, dynamics.p, t)
    return nothing
end

function jacobian!(J, dynamics::Counted, u, t)
    dynamics.stats.njacs += 1
    dynamics.f.jac(J, u, dynamics.p, t)
    return nothing
end

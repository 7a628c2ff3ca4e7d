# Steps of which Python hears.

"""A step of an integrator; returns the return code so far."""
take_step!(integrator, ::Nothing) = SciMLBase.step!(integrator)

"""`step!`, which tells of each time that it is tried."""
function take_step!(integrator, listeners::Listeners)
    integrator isa OrdinaryDiffEqCore.ODEIntegrator || throw(
        UnsupportedError("Callbacks of steps are for solvers of odeint, and $(nameof(typeof(integrator.alg))) is none.")
    )
    accepted = false
    while !accepted
        OrdinaryDiffEqCore.loopheader!(integrator)
        integrator.do_error_check && SciMLBase.check_error!(integrator) != SciMLBase.ReturnCode.Success &&
            return integrator.sol.retcode
        accepted = try_step!(integrator, listeners)
    end
    OrdinaryDiffEqCore.handle_tstop!(integrator)
    return integrator.sol.retcode
end

function try_step!(integrator, listeners)
    (; t, dt) = integrator
    u = copy(integrator.uprev)
    tell(listeners.step, u, t, dt)
    OrdinaryDiffEqCore.perform_step!(integrator, integrator.cache)
    OrdinaryDiffEqCore.loopfooter!(integrator)
    accepted = integrator.accept_step
    tell(accepted ? listeners.accept : listeners.reject, u, t, dt)
    return accepted
end

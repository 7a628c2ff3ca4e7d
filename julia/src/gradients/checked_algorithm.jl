# Solves whose return code nobody else looks at.

"""
A solver whose solve, if it ends early, throws `EndedEarly`: SciMLSensitivity takes whatever its backward solve has
reached for the gradient. Listeners hear of its steps.
"""
struct CheckedAlgorithm{A} <: SciMLBase.AbstractODEAlgorithm
    alg::A
    listeners::Union{Nothing, Listeners}
end

function SciMLBase.__solve(prob::ODEProblem, checked::CheckedAlgorithm, args...; keywords...)
    bare = ODEProblem(prob.f, prob.u0, prob.tspan, prob.p) # its own keywords are among these already
    sol, t_reached = run_to_end(bare, checked.alg, args...; checked.listeners, keywords...)
    return completed(sol, t_reached)
end

"""The solution, if it is one to the end."""
completed(sol, t_reached) =
    SciMLBase.successful_retcode(sol) ? sol : throw(EndedEarly(string(sol.retcode), t_reached))

SciMLBase.isautodifferentiable(checked::CheckedAlgorithm) = SciMLBase.isautodifferentiable(checked.alg)
SciMLBase.isadaptive(checked::CheckedAlgorithm) = SciMLBase.isadaptive(checked.alg)
SciMLBase.forwarddiffs_model(checked::CheckedAlgorithm) = SciMLBase.forwarddiffs_model(checked.alg)
SciMLBase.forwarddiffs_model_time(checked::CheckedAlgorithm) = SciMLBase.forwarddiffs_model_time(checked.alg)
SciMLBase.allows_arbitrary_number_types(checked::CheckedAlgorithm) = SciMLBase.allows_arbitrary_number_types(checked.alg)

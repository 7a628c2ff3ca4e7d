# Solves whose return code nobody else looks at.

"""
A solver whose solve, if it ends early, throws `EndedEarly`: SciMLSensitivity takes whatever its backward solve has
reached for the gradient.
"""
struct Watched{A} <: SciMLBase.AbstractODEAlgorithm
    alg::A
end

function SciMLBase.__solve(prob::ODEProblem, watched::Watched, args...; keywords...)
    bare = ODEProblem(prob.f, prob.u0, prob.tspan, prob.p) # its own keywords are among these already
    sol, t_reached = run_to_end(bare, watched.alg, args...; keywords...)
    return checked(sol, t_reached)
end

checked(sol, t_reached) =
    SciMLBase.successful_retcode(sol) ? sol : throw(EndedEarly(string(sol.retcode), t_reached))

SciMLBase.isautodifferentiable(watched::Watched) = SciMLBase.isautodifferentiable(watched.alg)
SciMLBase.isadaptive(watched::Watched) = SciMLBase.isadaptive(watched.alg)
SciMLBase.forwarddiffs_model(watched::Watched) = SciMLBase.forwarddiffs_model(watched.alg)
SciMLBase.forwarddiffs_model_time(watched::Watched) = SciMLBase.forwarddiffs_model_time(watched.alg)
SciMLBase.allows_arbitrary_number_types(watched::Watched) = SciMLBase.allows_arbitrary_number_types(watched.alg)

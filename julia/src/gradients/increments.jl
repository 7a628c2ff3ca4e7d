# The increments of the noise over the steps of a path, as the solver took them.
#
# What it keeps of the noise is not always the path that it went: where it chooses its steps and draws one process alone,
# StochasticDiffEq 7.1 keeps other increments from the second step on.

"""
The increments over each step, those of the process and those of the second one, which are zero where there is none; as the
condition of a callback, which finds that nothing has happened.
"""
struct Increments
    of_steps::Vector{Tuple{Any, Any}}
end

function (taken::Increments)(u, t, integrator)
    (; dW, dZ) = integrator.W
    push!(taken.of_steps, (copy(dW), dZ === nothing ? zero(dW) : copy(dZ)))
    return false
end

"""`forward` that leaves a solution with the increments over its steps as its noise."""
function forward_with_increments(equation, u0, p, t, alg; keywords...)
    taken = Increments([])
    callback = DiscreteCallback(taken, identity; save_positions = (false, false))
    sol, t_reached = forward(equation, u0, p, t, alg; keywords..., dense = true, callback)
    made = SciMLBase.build_solution(
        sol.prob, sol.alg, sol.t, sol.u; W = taken.of_steps, dense = false, sol.retcode, sol.stats, sol.seed
    )
    return made, t_reached
end

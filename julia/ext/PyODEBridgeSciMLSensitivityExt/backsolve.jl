# The adjoint that solves for the state again, backwards in time.

"""`BacksolveAdjoint` as `adjoint_sensitivities` runs it, with a look at the state before a checkpoint restores it."""
function solve_back!(dy0::Vector{T}, dp, sol, grads, t, alg, sensealg; abstol, reltol, control) where {T}
    found = Mismatch{T}(sol, t, abstol, reltol)
    looking = DiscreteCallback((u, t, integrator) -> insorted(t, found.times), found; save_positions = (false, false))
    back = quietly() do
        made = ODEAdjointProblem(sol, sensealg, alg, t[2:end], LossGradients(grads); abstol, reltol)
        callback = CallbackSet(looking, made.kwargs[:callback])
        SciMLBase.solve(
            ODEProblem(made.f, made.u0, made.tspan, made.p; callback), CheckedAlgorithm(alg, control.listeners);
            save_everystep = false, save_start = false, saveat = Float64[],
            tstops = checkpoints(sol, sensealg), abstol, reltol,
            backward_options(control, alg, t, checkpoints(sol, sensealg))...
        )
    end
    n = length(dy0)
    last = back.u[end]
    dy0 .= view(last, 1:n) .+ view(grads, :, 1)
    dp .= view(last, (n + 1):(n + length(dp)))
    return found
end

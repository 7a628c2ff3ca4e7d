# A solution that nobody keeps needs no memory of its own: an integrator begins anew, trajectory after trajectory.

"""Methods whose integrators are as new after `reinit!`: they keep nothing from step to step, and interpolate well."""
const REINITIALISABLE = (:BS3, :BS5, :DP5, :DP8, :Tsit5, :Vern6, :Vern7, :Vern8, :Vern9)

can_reinitialise(::Equation, alg, control) = false

can_reinitialise(::Ordinary, alg, control) =
    nameof(typeof(alg)) in REINITIALISABLE && control.dt === nothing && !has_fixed_steps(control, alg)

"""Solve by the chunk's integrator, write the values at `t` into the columns of `ys`, and report."""
function next_report!(chunk, u0, t, alg, ys; keywords...)
    integrator = chunk.integrator[]
    chunk.integrator[] = nothing # what ends early leaves it in the middle of a step
    if integrator === nothing
        integrator = start(chunk.equation, u0, similar(u0, 0), t, alg; saving_at(t)..., chunk.control, keywords...)
    else
        reinitialise!(integrator, u0)
    end
    return finished!(chunk, integrator, t, ys, chunk.control.until_stiff)
end

function reinitialise!(integrator, u0)
    stats = integrator.stats
    foreach(name -> setproperty!(stats, name, 0), fieldnames(typeof(stats)))
    SciMLBase.reinit!(integrator, u0)
    return nothing
end

function finished!(chunk, integrator, t, ys, until_stiff)::Report
    sol = run!(integrator, until_stiff)
    if SciMLBase.successful_retcode(sol)
        write_values!(ys, chunk.equation, sol, t)
        chunk.integrator[] = integrator
    end
    return (string(sol.retcode), Float64(integrator.t), counts(sol.stats)...)
end

function solve_by_reinitialising!(
        reports, chunks, ::Type{T}, y0s, n, t, ys, alg, abstol, reltol, notify
    ) where {T}
    u0s, columns = array(T, y0s, n, length(reports)), array(T, ys, n, length(t), length(reports))
    tolerances = (; abstol = tolerance(T, abstol), reltol = tolerance(T, reltol))
    each_trajectory(chunks, notify) do chunk, k
        reports[k] = quietly() do
            report(or_stiff(() -> next_report!(chunk, u0s[:, k], t, alg, view(columns, :, :, k); tolerances...)))
        end
    end
    return nothing
end

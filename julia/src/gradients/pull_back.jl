# Gradients pulled back through a solve, as Python asks for them.

"""
    backward!(dy0, dp, sol, grads, t, alg, sensealg; abstol, reltol, control)

Pull loss gradients `grads[:, i]` with respect to the values at `t[i]` back to `dy0` and `dp`. Returns a `Mismatch`, or
nothing where the state was not solved for again.

The gradient at `t[1]` belongs to the initial state as it stands and is added outside the adjoint solve.
"""
function backward! end

"""
How a backward solve ended: its return code, the time where the state that it solved for again is off most, or where it
stopped, that error, and the state's size.
"""
const PulledBack = Tuple{String, Float64, Float64, Float64}

pulled_back(::Nothing)::PulledBack = ("Success", NaN, 0, 0)
pulled_back(found::Mismatch)::PulledBack = ("Success", found.t, found.error, found.size)
pulled_back(err::EndedEarly)::PulledBack = (err.retcode, err.t, 0, 0)

"""Write the gradients for the loss gradients at `grads` into the memory at `dy0` and `dp`; see `backward!`."""
function pull_back(solved::Solved{E, S, T}, grads, dy0, n, dp, alg, sensealg, abstol, reltol, control) where {E, S, T}
    return try
        bounds = (; abstol = T(abstol), reltol = T(reltol), control)
        found = gradients!(
            array(T, dy0, n), array(T, dp, length(solved.p)), solved, array(T, grads, n, length(solved.t)),
            backward_algorithm(solved.equation, alg, sensealg), sensealg; bounds...
        )
        pulled_back(found)
    catch err
        err isa EndedEarly || rethrow()
        pulled_back(err)
    end
end

"""`backward!` by the forward solution as the adjoint reads it; that of another equation where this one has none."""
gradients!(dy0, dp, solved::Solved, grads, alg, sensealg; bounds...) =
    of_solution!(dy0, dp, solved, grads, alg, sensealg; bounds...)

of_solution!(dy0, dp, solved, grads, alg, sensealg; bounds...) =
    backward!(dy0, dp, adjoint_solution(solved, alg, sensealg; bounds...), grads, solved.t, alg, sensealg; bounds...)

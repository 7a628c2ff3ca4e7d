# The solver of the backward solve.

"""
    backward_algorithm(equation, alg, sensealg)

The solver of the backward solve: `alg`, if it can run that. Dual numbers go through the steps of explicit solvers
alone: others ask for the Jacobian at such numbers, in which second derivatives are.
"""
backward_algorithm(equation, alg, sensealg) = backward_algorithm(equation, alg)

"""The solver of the backward solve: `alg`, if it can run the adjoint, which is one ordinary equation."""
function backward_algorithm(equation::Equation, alg)
    takes_operator(alg) && throw(
        UnsupportedError(
            "$(nameof(typeof(alg))) solves y' = A(t, y) y by its matrix, and cannot run the backward solve: name another " *
                "solver for that, for example with adjoint_method=\"Vern7\"."
        )
    )
    is_partitioned(alg) || return alg
    solver_form(equation, alg) # which may refuse it for the forward solve already
    throw(
        UnsupportedError(
            "$(nameof(typeof(alg))) cannot run the backward solve, which has no halves: name another solver for " *
                "that, for example with adjoint_method=\"Vern7\"."
        )
    )
end

"""The adjoint of a delay equation is solved piece by piece, each as an ordinary equation: by what steps within `alg`."""
backward_algorithm(::Delayed, alg) = stepper(alg)

stepper(alg) = alg isa SciMLBase.AbstractDDEAlgorithm ? alg.alg : alg

"""The backward solve has general noise, whatever the forward one has; its solver, once looked up."""
const ALONG_NOISE = Ref{Any}(nothing)

function backward_algorithm(::Stochastic, alg)
    ALONG_NOISE[] === nothing && (ALONG_NOISE[] = algorithm("EulerHeun", "SDE"))
    return ALONG_NOISE[]
end

"""
    chosen_backward(alg, n, is_sparse, sensealg)

The name of the solver of the backward solve where none was asked for; "" for that of the forward solve, `alg`, as for
what does not solve for the adjoint variable. Where that one cannot run an adjoint at all, as one of halves, another does.
What an adjoint starts with, at each time of the loss, lies on fast directions too; there, methods of several steps begin
again, and those of low order take very many.
"""
function chosen_backward(alg, n, is_sparse, sensealg = nothing)
    alg = stepper(alg)
    alg isa SciMLBase.AbstractDAEAlgorithm && return string(nameof(typeof(stiff_solver())))
    (is_partitioned(alg) || takes_operator(alg)) && return string(nameof(typeof(explicit_solver(alg))))
    sensealg === nothing || solves_for_adjoint(sensealg) || return ""
    meets_stiffness(alg) && !is_sparse && n > LARGEST_DENSE && return ""
    chosen = meets_stiffness(alg) ? stiff_solver() : interpolating_algorithm(alg, n)
    return chosen === alg ? "" : string(nameof(typeof(chosen)))
end

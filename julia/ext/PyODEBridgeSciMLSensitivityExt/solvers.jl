# The solvers of the forward and the backward solve, where a sensitivity algorithm has a say in them.

"""Forward modes solve in the backward pass."""
function forward_algorithm(equation::Ordinary, alg, sensealg::ForwardMode, control)
    plain = equation.f.mass_matrix === I && equation.f.jac_prototype === nothing
    plain || throw(
        UnsupportedError(
            "$(nameof(typeof(sensealg))) takes neither mass_matrix nor jac_sparsity; choose InterpolatingAdjoint."
        )
    )
    return alg
end

function backward_algorithm(equation, alg, sensealg::ForwardDiffSensitivity)
    takes_duals(alg) && return backward_algorithm(equation, alg)
    throw(
        UnsupportedError(
            "ForwardDiffSensitivity sends dual numbers through the steps of the solver, which $(nameof(typeof(alg))) " *
                "does not take: name an explicit solver of OrdinaryDiffEq, for the gradient alone with " *
                "adjoint_method=\"Tsit5\", or choose ForwardSensitivity."
        )
    )
end

backward_algorithm(::Steady, alg, ::SteadyStateAdjoint) = alg

backward_algorithm(equation, alg, ::SteadyStateAdjoint) = throw(
    UnsupportedError("SteadyStateAdjoint is that of pyode_bridge.steady_state, and this is a solve over time.")
)

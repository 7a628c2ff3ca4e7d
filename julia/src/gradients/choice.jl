# The sensitivity algorithm where none is named, and what speaks against one that is.

const PARTS_SENSEALG = "InterpolatingAdjoint(checkpointing=true)"

"""
From so many parameters on, and where they are more than the state's components, their gradient is better integrated apart
from the adjoint than within its state.
"""
const MANY_PARAMETERS = 100

"""
    chosen_sensealg(equation, alg, backward, n, np)

The sensitivity algorithm to use where none is named, and why: for the solvers of the forward and the backward solve, and
numbers of components and of parameters.
"""
function chosen_sensealg(equation, alg, backward, n, np)
    form = solver_form(equation, alg)
    form isa Ordinary || return PARTS_SENSEALG, "an equation in parts is known at the times of t alone"
    form.f.mass_matrix === I || return "InterpolatingAdjoint", "there is a mass matrix"
    is_implicit(backward) || np >= max(MANY_PARAMETERS, n) ||
        return "InterpolatingAdjoint", "the solver is explicit and there are few parameters"
    misled = poor_between_steps(backward)
    isempty(misled) || return "InterpolatingAdjoint", "GaussAdjoint would be inaccurate: $misled"
    is_implicit(backward) && return "GaussAdjoint",
        "the solver is implicit: the linear systems of its adjoint do not grow with the number of parameters"
    return "GaussAdjoint", "there are $np parameters: their gradient is integrated apart from the adjoint's state"
end

function chosen_sensealg(::Stochastic, alg, backward, n, np)
    noise_tableau(alg) === nothing && return "BacksolveAdjoint", "it alone differentiates the steps of $(nameof(typeof(alg)))"
    return "DiscreteAdjoint", "it is the gradient of the steps themselves, along the noise that was drawn for them"
end

chosen_sensealg(::Residual, alg, backward, n, np) =
    "GaussAdjoint", "the residual is an ordinary equation over its differential components, which is solved implicitly"

chosen_sensealg(::Delayed, alg, backward, n, np) =
    "DelayAdjoint", "it is the adjoint of delay equations, with those of the lags and of the history"

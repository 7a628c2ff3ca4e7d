# The solver of the forward solve, as the sensitivity algorithm and the equation need it.

"""
    forward_algorithm(equation, alg, sensealg, control)

The solver of the forward solve that suits `sensealg`. Its interpolants must not be lazy where the adjoint asks for them:
SciMLSensitivity 7.112 reads them before they are filled, and the gradient is silently wrong. An adjoint that solves again
between saved times uses the same solver, and gives these solves no step size.
"""
function forward_algorithm(::Ordinary, alg, sensealg, control)
    solves_again(sensealg) || return interpolates(sensealg) ? eager(alg) : alg
    if has_fixed_steps(control, alg)
        throw(
            UnsupportedError(
                "$(nameof(typeof(sensealg))) with checkpointing solves again between the saved times, which needs a " *
                    "solver with adaptive steps; leave checkpointing out or choose BacksolveAdjoint."
            )
        )
    end
    starts_wrongly(alg) && throw(
        UnsupportedError(
            "$(nameof(typeof(sensealg))) with checkpointing solves again between the saved times, with a first step " *
                "that may be too long, and from such a one $(nameof(typeof(alg))) goes wrong; leave checkpointing out."
        )
    )
    return eager(alg)
end

function forward_algorithm(equation::Ordinary, alg, sensealg::DiscreteAdjoint, control)
    equation.f.mass_matrix === I || throw(
        UnsupportedError("DiscreteAdjoint takes no mass_matrix; choose InterpolatingAdjoint.")
    )
    sensealg.checkpointing && !takes_steps_again(alg) && refuse_checkpoints(alg)
    alg isa FixedSteps || explicit_method(alg)
    return alg
end

"""Whether a step of a solver can be taken again from the state at its start alone."""
takes_steps_again(alg) = !(alg isa FixedSteps) || alg.scheme isa Explicit

refuse_checkpoints(alg) = throw(
    UnsupportedError(
        "DiscreteAdjoint takes steps of explicit Runge-Kutta methods again between its checkpoints, and not those of " *
            "$(called(alg)); leave checkpointing out."
    )
)

forward_algorithm(::Ordinary, alg, ::DelayAdjoint, control) =
    throw(UnsupportedError("DelayAdjoint differentiates delay equations alone; leave sensealg out."))

function forward_algorithm(::Delayed, alg, sensealg, control)
    sensealg isa Union{Nothing, DelayAdjoint} && return alg
    throw(
        UnsupportedError(
            "$(nameof(typeof(sensealg))) does not differentiate delay equations; leave sensealg out, for DelayAdjoint."
        )
    )
end

function forward_algorithm(::Residual, alg, sensealg, control)
    (sensealg === nothing || solves_for_adjoint(sensealg) && !(sensealg isa Own)) && return alg
    throw(
        UnsupportedError(
            "$(nameof(typeof(sensealg))) does not differentiate residual equations; choose GaussAdjoint or " *
                "InterpolatingAdjoint."
        )
    )
end

"""An equation in parts is pulled back through as an ordinary one, from its values at the saved times, or solved again."""
function forward_algorithm(::Equation, alg, sensealg, control)
    sensealg isa Own || return alg
    throw(
        UnsupportedError(
            "$(nameof(typeof(sensealg))) does not differentiate equations in parts; choose `$PARTS_SENSEALG`, or leave " *
                "sensealg out."
        )
    )
end

"""The adjoint runs the same paths backwards in steps of their own, which is Stratonovich's calculus."""
function forward_algorithm(::Stochastic, alg, sensealg, control)
    sensealg === nothing && return alg
    follows_noise(sensealg) || throw(
        UnsupportedError(
            "DiscreteAdjoint and BacksolveAdjoint differentiate stochastic equations, not $(nameof(typeof(sensealg))); " *
                "leave sensealg out."
        )
    )
    calculus(alg) == "Stratonovich" && has_fixed_steps(control, alg) && return alg
    throw(
        UnsupportedError(
            "BacksolveAdjoint cannot differentiate $(nameof(typeof(alg))): it needs a method in Stratonovich's sense with " *
                "fixed steps. $DIFFERENTIABLE_NOISE"
        )
    )
end

const DIFFERENTIABLE_NOISE = "Steps of explicit methods are their own gradient, such as SOSRI, LambaEM and EM (Ito's " *
    "calculus), or LambaEulerHeun and EulerHeun (Stratonovich's). Name one of them, or call it under torch.no_grad()."

"""Steps that are known."""
function forward_algorithm(::Stochastic, alg, sensealg::DiscreteAdjoint, control)
    sensealg.checkpointing && refuse_checkpoints(alg)
    noise_tableau(alg) === nothing || return alg
    throw(UnsupportedError("Steps of $(nameof(typeof(alg))) cannot be differentiated. $DIFFERENTIABLE_NOISE"))
end

function forward_algorithm(::Steady, alg, sensealg, control)
    has_fixed_steps(control, alg) && control.dt === nothing && throw(
        UnsupportedError(
            "$(nameof(typeof(alg))) takes fixed steps, and the way to a steady state has no length to divide: give " *
                "options={'dt': ...}."
        )
    )
    return alg
end

eager(alg) = hasproperty(alg, :lazy) ? SciMLBase.remake(alg; lazy = Val(false)) : alg

function eager(alg::OrdinaryDiffEqCore.CompositeAlgorithm)
    return OrdinaryDiffEqCore.CompositeAlgorithm(map(eager, alg.algs), alg.choice_function)
end

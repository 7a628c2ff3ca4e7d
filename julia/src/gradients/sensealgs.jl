# From a string to a sensitivity algorithm.

"""Adjoints that need the dynamics' values and vector-Jacobian products alone."""
const Adjoint = Union{InterpolatingAdjoint, BacksolveAdjoint, QuadratureAdjoint, GaussAdjoint, GaussKronrodAdjoint}

"""Those that integrate the parameters' gradient apart from the adjoint's state; see `Quadrature`."""
const Gauss = Union{GaussAdjoint, GaussKronrodAdjoint}

"""Forward modes, which solve again from the start with derivatives beside the state, or within its numbers."""
const ForwardMode = Union{ForwardSensitivity, ForwardDiffSensitivity}

"""Sensitivity algorithms that are served."""
const Served = Union{Adjoint, ForwardMode, SteadyStateAdjoint, DiscreteAdjoint}

"""
    sensitivity_algorithm(text; abstol, reltol)

The adjoint that `text` names. The vector-Jacobian products are the callback's own; `ZygoteVJP` is named because some
choice must be, and it is the one that does nothing beforehand. Forward modes take the callback's Jacobians.
"""
function sensitivity_algorithm(text::AbstractString; abstol::Real, reltol::Real)
    defaults(name) = name === :QuadratureAdjoint ? (; abstol, reltol) : (;)
    function make(callable, args, kwargs)
        is_sensealg = callable isa Type && callable <: SciMLBase.AbstractSensitivityAlgorithm
        is_sensealg || return construct(callable, args, kwargs)
        allowed = defaults(nameof(callable))
        return construct(callable, args, merge(allowed, products(callable), kwargs))
    end
    own = Dict{Symbol, Any}(:DiscreteAdjoint => DiscreteAdjoint)
    made = interpret(text, Vocabulary(["SciMLSensitivity"], make; constants = own))
    made isa Served && return made
    made isa SciMLBase.AbstractSensitivityAlgorithm || throw(
        UnsupportedError("`$text` is a $(nameof(typeof(made))), not a sensitivity algorithm.")
    )
    throw(
        UnsupportedError(
            "$(nameof(typeof(made))) $(unserved(made)); choose InterpolatingAdjoint, GaussAdjoint, QuadratureAdjoint, " *
                "BacksolveAdjoint, DiscreteAdjoint, ForwardSensitivity or ForwardDiffSensitivity."
        )
    )
end

"""What speaks against a sensitivity algorithm."""
unserved(::SciMLBase.AbstractSensitivityAlgorithm) =
    "differentiates through the dynamics in Julia, and these are Python's, called back or compiled for numbers alone"
unserved(::SciMLBase.AbstractShadowingSensitivityAlgorithm) =
    "differentiates averages over long times, and these are values at times"

"""Keywords that say where derivatives of the dynamics come from."""
products(::Type) = (;)
products(::Type{<:Adjoint}) = (; autojacvec = ZygoteVJP())
# Without one, more than 50 equations would have dual numbers sent through the dynamics.
products(::Type{<:SteadyStateAdjoint}) = (; autojacvec = ZygoteVJP(), linsolve = LinearSolve.LUFactorization())
products(::Type{<:ForwardSensitivity}) = (; autodiff = false, autojacvec = false)

"""Whether the adjoint solves the problem again between the values at the saved times."""
solves_again(sensealg) = false
solves_again(sensealg::Adjoint) = hasproperty(sensealg, :checkpointing) && sensealg.checkpointing
solves_again(::BacksolveAdjoint) = false

"""Whether the adjoint asks for the forward solution between its steps."""
interpolates(sensealg) = false
interpolates(sensealg::Adjoint) = !solves_again(sensealg)
interpolates(::BacksolveAdjoint) = false

"""Whether the forward solution must be kept at all of its steps."""
needs_dense(sensealg) = interpolates(sensealg)
needs_dense(::DiscreteAdjoint) = true

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

"""
    starts_wrongly(alg)

Whether a solve with a given first step goes wrong without a word. In OrdinaryDiffEqAdamsBashforthMoulton 2.1 a step of
first order of VCABM, as the first one is, takes the derivative twice; the step that it chooses itself is so short that
this does not matter. JVODE goes on wrongly after a first step that the error test rejects.
"""
starts_wrongly(alg) = alg isa OrdinaryDiffEqCore.OrdinaryDiffEqAdamsVarOrderVarStepAlgorithm

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

"""An equation in parts is pulled back through as an ordinary one, from its values at the saved times."""
function forward_algorithm(::Equation, alg, sensealg, control)
    needs_dense(sensealg) || return alg
    throw(
        UnsupportedError(
            "$(nameof(typeof(sensealg))) interpolates the forward solution, which $(nameof(typeof(alg))) leaves at " *
                "the times of t alone; choose `$PARTS_SENSEALG` or `BacksolveAdjoint`."
        )
    )
end

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
    form = suited(equation, alg)
    form isa Ordinary || return PARTS_SENSEALG, "an equation in parts is known at the times of t alone"
    form.f.mass_matrix === I || return "InterpolatingAdjoint", "there is a mass matrix"
    is_implicit(backward) || np >= max(MANY_PARAMETERS, n) ||
        return "InterpolatingAdjoint", "the solver is explicit and there are few parameters"
    misled = may_mislead(GaussAdjoint(), backward)
    isempty(misled) || return "InterpolatingAdjoint", "GaussAdjoint would be inaccurate: $misled"
    is_implicit(backward) && return "GaussAdjoint",
        "the solver is implicit: the linear systems of its adjoint do not grow with the number of parameters"
    return "GaussAdjoint", "there are $np parameters: their gradient is integrated apart from the adjoint's state"
end

"""
    may_mislead(sensealg, alg)

Why `sensealg` may give a wrong gradient of the parameters, without a word, from a backward solve by `alg`; "" where
nothing is known against it. Three adjoints integrate that gradient from values between the steps of the solve.
"""
may_mislead(sensealg, alg) = ""
may_mislead(::Gauss, alg) = poor_between_steps(alg)
function may_mislead(::QuadratureAdjoint, alg)
    is_implicit(alg) || return poor_between_steps(alg)
    return "its quadrature misses how fast the adjoint of stiff dynamics changes next to each time of t"
end

"""
    backward_algorithm(equation, alg, sensealg)

The solver of the backward solve: `alg`, if it can run that. Dual numbers go through the steps of explicit solvers
alone: others ask for the Jacobian at such numbers, in which second derivatives are.
"""
backward_algorithm(equation, alg, sensealg) = backward_algorithm(equation, alg)

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

takes_duals(alg) = false
takes_duals(alg::OrdinaryDiffEqCore.OrdinaryDiffEqAlgorithm) =
    !is_implicit(alg) && !(alg isa OrdinaryDiffEqCore.ExponentialAlgorithm)

eager(alg) = hasproperty(alg, :lazy) ? SciMLBase.remake(alg; lazy = Val(false)) : alg

function eager(alg::OrdinaryDiffEqCore.CompositeAlgorithm)
    return OrdinaryDiffEqCore.CompositeAlgorithm(map(eager, alg.algs), alg.choice_function)
end

"""Whether the adjoint asks for both vector-Jacobian products at the same points."""
joint_products(sensealg) = false
joint_products(::Union{InterpolatingAdjoint, BacksolveAdjoint, DiscreteAdjoint}) = true

"""Whether it asks for the Jacobian whatever the solver is."""
takes_jacobian(sensealg) = false
takes_jacobian(::Union{ForwardMode, SteadyStateAdjoint}) = true

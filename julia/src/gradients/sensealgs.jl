# Sensitivity algorithms: those that are served, and how a string names one.

"""Adjoints that need the dynamics' values and vector-Jacobian products alone."""
const Adjoint = Union{InterpolatingAdjoint, BacksolveAdjoint, QuadratureAdjoint, GaussAdjoint, GaussKronrodAdjoint}

"""Those that integrate the parameters' gradient apart from the adjoint's state; see `Quadrature`."""
const Gauss = Union{GaussAdjoint, GaussKronrodAdjoint}

"""Forward modes, which solve again from the start with derivatives beside the state, or within its numbers."""
const ForwardMode = Union{ForwardSensitivity, ForwardDiffSensitivity}

"""
The gradient of the numbers that a solve computed, by the chain rule through its steps (Hager 2000, "Runge-Kutta methods in
optimal control and the transformed adjoint system"). Steps are those of the forward solve, whose lengths are taken for
given; stages are computed again from the state at each step's start. Nothing in it depends on tolerances.
"""
struct DiscreteAdjoint <: SciMLBase.AbstractAdjointSensitivityAlgorithm{0, false, Val{:central}} end

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

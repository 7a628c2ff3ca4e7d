# Sensitivity algorithms: how a string names one. Those of SciMLSensitivity come with an extension, which is loaded when the
# first one is named: a solve without a gradient does without, and starts seconds earlier.

const EXTENSION = :PyODEBridgeSciMLSensitivityExt

"""
The gradient of the numbers that a solve computed, by the chain rule through its steps (Hager 2000, "Runge-Kutta methods in
optimal control and the transformed adjoint system"). Steps are those of the forward solve, whose lengths are taken for
given; stages are computed again from the state at each step's start, where the solution does not have them. Nothing in it
depends on tolerances. With `checkpointing`, some of the steps are kept, and those between computed again too.
"""
struct DiscreteAdjoint <: SciMLBase.AbstractAdjointSensitivityAlgorithm{0, false, Val{:central}}
    checkpointing::Bool
end

DiscreteAdjoint(; checkpointing::Bool = false) = DiscreteAdjoint(checkpointing)

"""
The gradient of a delay equation by its adjoint, whose equation is of advanced type: it has the adjoint variable at later
times in it, and is solved backwards piece by piece, as by the method of steps.
"""
struct DelayAdjoint <: SciMLBase.AbstractAdjointSensitivityAlgorithm{0, false, Val{:central}} end

"""Those that do without SciMLSensitivity."""
const Own = Union{DiscreteAdjoint, DelayAdjoint}

"""Whether a sensitivity algorithm is served."""
is_served(sensealg) = false
is_served(::Own) = true

const OWN_SENSEALGS = Dict{Symbol, Any}(:DiscreteAdjoint => DiscreteAdjoint, :DelayAdjoint => DelayAdjoint)

"""
    sensitivity_algorithm(text; abstol, reltol)

The adjoint that `text` names. The vector-Jacobian products are the callback's own; `ZygoteVJP` is named because some
choice must be, and it is the one that does nothing beforehand. Forward modes take the callback's Jacobians.
"""
function sensitivity_algorithm(text::AbstractString; abstol::Real, reltol::Real)
    haskey(OWN_SENSEALGS, Symbol(text)) || load_extension()
    return Base.invokelatest(sensealg_of, text; abstol, reltol) # with the methods of the extension
end

function load_extension()
    Base.get_extension(@__MODULE__, EXTENSION) === nothing || return nothing
    id = Base.PkgId(Base.uuid5(Base.PkgId(@__MODULE__).uuid, String(EXTENSION)), String(EXTENSION))
    Base.isprecompiled(id) || announce_compiling(id)
    load_package("SciMLSensitivity")
    Base.get_extension(@__MODULE__, EXTENSION) === nothing && throw(
        UnsupportedError(
            "SciMLSensitivity, which differentiates solves, does not load; `python -m pyode_bridge doctor` says what is " *
                "missing. sensealg=\"DiscreteAdjoint\" does without it."
        )
    )
    return nothing
end

function sensealg_of(text; abstol, reltol)
    defaults(name) = name === :QuadratureAdjoint ? (; abstol, reltol) : (;)
    function make(callable, args, kwargs)
        is_sensealg = callable isa Type && callable <: SciMLBase.AbstractSensitivityAlgorithm
        is_sensealg || return construct(callable, args, kwargs)
        allowed = defaults(nameof(callable))
        return construct(callable, args, merge(allowed, products(callable), kwargs))
    end
    made = interpret(text, Vocabulary(["SciMLSensitivity"], make; constants = OWN_SENSEALGS))
    is_served(made) && return made
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

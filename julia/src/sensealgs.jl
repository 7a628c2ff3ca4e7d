# From a string to a sensitivity algorithm.

"""Adjoints that need the dynamics' values and vector-Jacobian products alone."""
const Adjoint = Union{InterpolatingAdjoint, BacksolveAdjoint, QuadratureAdjoint, GaussAdjoint, GaussKronrodAdjoint}

"""
    sensitivity_algorithm(text; abstol, reltol)

The adjoint that `text` names. The vector-Jacobian products are the callback's own; `ZygoteVJP` is named because some
choice must be, and it is the one that does nothing beforehand.
"""
function sensitivity_algorithm(text::AbstractString; abstol::Real, reltol::Real)
    defaults(name) = name in (:QuadratureAdjoint, :GaussKronrodAdjoint) ? (; abstol, reltol) : (;)
    function make(callable, args, kwargs)
        callable isa Type && callable <: SciMLBase.AbstractSensitivityAlgorithm || return construct(callable, args, kwargs)
        allowed = defaults(nameof(callable))
        autojacvec = callable <: Adjoint ? (; autojacvec = ZygoteVJP()) : (;)
        return construct(callable, args, merge(allowed, autojacvec, kwargs))
    end
    made = interpret(text, ["SciMLSensitivity"]; construct = make)
    made isa Adjoint && return made
    made isa SciMLBase.AbstractSensitivityAlgorithm || throw(
        UnsupportedError("`$text` is a $(nameof(typeof(made))), not a sensitivity algorithm.")
    )
    throw(
        UnsupportedError(
            "$(nameof(typeof(made))) differentiates through the dynamics in Julia, and these are a Python " *
                "callback; choose InterpolatingAdjoint, GaussAdjoint, QuadratureAdjoint or BacksolveAdjoint."
        )
    )
end

"""Whether the adjoint interpolates the forward solution, which must then be kept densely."""
needs_dense(::Union{QuadratureAdjoint, GaussAdjoint, GaussKronrodAdjoint}) = true
needs_dense(sensealg::InterpolatingAdjoint) = !sensealg.checkpointing
needs_dense(::BacksolveAdjoint) = false

"""Whether the adjoint asks for both vector-Jacobian products at the same points."""
joint_products(::Union{InterpolatingAdjoint, BacksolveAdjoint}) = true
joint_products(::Union{QuadratureAdjoint, GaussAdjoint, GaussKronrodAdjoint}) = false

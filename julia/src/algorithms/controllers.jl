# Step-size controllers whose factors are the user's own.

"""A solver's controller, or its own, with the factors that are given, by their names in `CommonControllerOptions`."""
with_factors(::Nothing, alg, factors) =
    with_factors(OrdinaryDiffEqCore.default_controller(Float64, alg), alg, factors)

function with_factors(controller, alg, factors)
    hasproperty(controller, :basic) || throw(
        UnsupportedError(
            "$(nameof(typeof(alg))) has a step-size controller of its own, which takes no $(join(keys(factors), ", ")); " *
                "leave it out, or name another solver."
        )
    )
    return like(controller, (; basic = with_basic(controller.basic, factors)))
end

with_factors(controller::OrdinaryDiffEqCore.CompositeController, alg, factors) = OrdinaryDiffEqCore.CompositeController(
    map((own, alg) -> with_factors(own, alg, factors), controller.controllers, alg.algs)
)

with_factors(controller::OrdinaryDiffEqCore.PIDController, alg, factors) = haskey(factors, :gamma) ? throw(
        UnsupportedError("$(nameof(typeof(alg))) is controlled by a PIDController, which takes no gamma; leave it out.")
    ) : like(controller, (; basic = with_basic(controller.basic, factors)))

with_basic(basic::NamedTuple, factors) = merge(basic, factors)
with_basic(basic, factors) = like(basic, map(value -> oftype(basic.qmax, value), factors))

"""An object like another one, but for some fields."""
function like(object, changed::NamedTuple)
    type = typeof(object)
    fields = map(name -> get(changed, name, getfield(object, name)), fieldnames(type))
    return getfield(parentmodule(type), nameof(type))(fields...)
end

# Step-size controllers whose factors are the user's own.

"""A solver's controller, or its own, with the factors that are given, by their names in `CommonControllerOptions`."""
with_factors(::Nothing, alg, factors) =
    with_factors(OrdinaryDiffEqCore.default_controller(Float64, alg), alg, factors)

function with_factors(controller, alg, factors)
    dropped = setdiff(keys(factors), get(HEEDED, nameof(typeof(controller)), ()))
    isempty(dropped) && return like(controller, (; basic = with_basic(controller.basic, factors)))
    solver, its = nameof(typeof(alg)), nameof(typeof(controller))
    throw(UnsupportedError("$solver has a $its, which takes no $(first(dropped)); leave it out, or name another solver."))
end

# The factors that a controller goes by. It has fields for more, and one in a solver's own package may have none at all.
const BOUNDS = (:qmin, :qmax, :qmax_first_step)
const HEEDED = Dict(
    :IController => (:gamma, BOUNDS...), :PIController => (:gamma, BOUNDS...), :PIDController => BOUNDS,
    :PredictiveController => (:gamma, BOUNDS...), :BDFController => (:gamma,),
)

with_factors(controller::OrdinaryDiffEqCore.CompositeController, alg, factors) = OrdinaryDiffEqCore.CompositeController(
    map((own, alg) -> with_factors(own, alg, factors), controller.controllers, alg.algs)
)

with_basic(basic::NamedTuple, factors) = merge(basic, factors)
with_basic(basic, factors) = like(basic, map(value -> oftype(basic.qmax, value), factors))

"""An object like another one, but for some fields."""
function like(object, changed::NamedTuple)
    type = typeof(object)
    fields = map(name -> get(changed, name, getfield(object, name)), fieldnames(type))
    return getfield(parentmodule(type), nameof(type))(fields...)
end

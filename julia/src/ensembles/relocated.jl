# The same equation for another workspace, of which each chunk of an ensemble has one.

"""Where compiled functions are to find what they read and write, and of how many parameters they give products."""
struct Workplace
    env::Ptr{Cvoid}
    parameters::Int
end

"""
    relocated(what, place)

The same for compiled functions that work at another place, with memory of its own for what lies between their calls.
What is no compiled function calls Python, which other threads cannot; nobody is to ask for it.
"""
relocated(f::CFunction{C}, place) where {C} =
    f.env == C_NULL ? CFunction(closure(C, C_NULL), C_NULL) : CFunction(f.call, place.env)

relocated(f::RightHandSide, place) = RightHandSide(relocated(f.c_rhs, place))
relocated(f::Half, place) = Half(relocated(f.c_half, place))
relocated(f::Jacobian, place) = Jacobian(relocated(f.c_jacobian, place))
relocated(f::Predicate, place) = Predicate(C_NULL, relocated(f.c_value, place))
relocated(f::UnstableCheck, place) = UnstableCheck(relocated(f.predicate, place))
relocated(::Nothing, place) = nothing

"""What a solve may be told of its steps, with what it asks of a state."""
function relocated(control::StepControl, place)
    (; isoutofdomain, unstable_check) = control
    isoutofdomain === unstable_check === nothing && return control
    others = (name => getfield(control, name) for name in fieldnames(StepControl))
    return StepControl(;
        others..., isoutofdomain = relocated(isoutofdomain, place), unstable_check = relocated(unstable_check, place)
    )
end

no_product(out::Ptr{Cvoid}, v::Ptr{Cvoid}, u::Ptr{Cvoid}, t::Cdouble, env::Ptr{Cvoid})::Cint = 0

"""The product with parameters, or with none of them."""
parameter_product(f::CFunction{TwoVectors}, place) =
    iszero(place.parameters) ? two_vectors(no_product_address()) : relocated(f, place)

no_product_address() = UInt(@cfunction(no_product, Cint, (Ptr{Cvoid}, Ptr{Cvoid}, Ptr{Cvoid}, Cdouble, Ptr{Cvoid})))

function relocated(equation::Ordinary, place)
    (; f, vjp, vjp_p, jac, mass_matrix, jac_prototype) = equation.f
    made = Callbacks(
        relocated(f.c_rhs, place), relocated(vjp.c_vjp, place), parameter_product(vjp_p.c_vjp_p, place),
        relocated(jac.c_jacobian, place)
    )
    return Ordinary(made, mass_matrix; jac_prototype = jac_prototype === nothing ? nothing : copy(jac_prototype))
end

relocated(equation::Partitioned, place) = Partitioned(
    relocated(equation.force, place), relocated(equation.velocity, place), relocated(equation.ordinary, place)
)

relocated(equation::Split, place) = Split(
    relocated(equation.implicit, place), relocated(equation.explicit, place), relocated(equation.ordinary, place)
)

relocated(f::ODEFunction, place) = implicit_part(relocated(f.f, place), relocated(f.jac, place))
relocated(linear::MatrixOperator, place) = deepcopy(linear)

relocated(equation::Quasilinear, place) =
    Quasilinear(relocated(equation.matrix, place), relocated(equation.ordinary, place))

function relocated(equation::Hybrid, place)
    (; conditions, effects, directions, terminal, most, interp_points) = equation.events
    made = Union{Nothing, RightHandSide}[relocated(effect, place) for effect in effects]
    return Hybrid(
        relocated(equation.ordinary, place),
        Events(relocated(conditions, place), made, directions, terminal, most, interp_points)
    )
end

relocated(f::Differentiable, place) = Differentiable(
    relocated(f.c_value, place), relocated(f.c_vjp, place), parameter_product(f.c_vjp_p, place)
)

function relocated(equation::Stochastic, place)
    (; drift, jacobian, diffusion, noise, processes, seed, keep_paths) = equation
    return Stochastic(
        relocated(drift, place), relocated(jacobian, place), relocated(diffusion, place), noise, processes, seed,
        keep_paths
    )
end

function relocated(equation::Delayed{T}, place) where {T}
    (; c_rhs, lags, delayed) = equation.rhs
    (; c_history, size) = equation.history
    return Delayed(
        DelayedRightHandSide(relocated(c_rhs, place), lags, zero(delayed)), History{T}(relocated(c_history, place), size)
    )
end

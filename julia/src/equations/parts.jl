# Ordinary equations given in parts, which some solvers treat apart.

"""
`q' = velocity(v, q, t)`, `v' = force(v, q, t)`; the flat state is `q`, then `v`. Without a velocity it is `q' = v`.
`ordinary` is the same as one equation, for solvers that know no halves and for adjoints.
"""
struct Partitioned{V <: Union{Nothing, Half}, O <: Ordinary} <: Equation
    force::Half
    velocity::V
    ordinary::O
end

function problem(equation::Partitioned, u0, p, tspan)
    q, v = halves(u0)
    return dynamical_problem(equation.force, equation.velocity, v, q, p, tspan)
end

function check_steps(equation::Partitioned, u0, t, alg, control)
    package, name = nameof(parentmodule(typeof(alg))), nameof(typeof(alg))
    package in OF_SEPARATE_HALVES && !(name in OF_ANY_FORCE) || return nothing
    q, v = halves(u0)
    check_force(equation.force, v, q, t, name)
    equation.velocity === nothing || check_velocity(equation.velocity, v, q, t, name)
    return nothing
end

"""Packages of which solvers take the force to depend on `q` alone, and the velocity on `v`; and those that do not."""
const OF_SEPARATE_HALVES = (:OrdinaryDiffEqSymplecticRK, :OrdinaryDiffEqRKN)
const OF_ANY_FORCE = (:Nystrom4, :FineRKN4, :FineRKN5)

"""Beside a start, where something may vanish."""
const NEARBY = 1 // 64

function check_force(f, v, q, t, name)
    v, q = v .+ NEARBY, q .+ NEARBY
    isequal(value_of(f, v, q, t), value_of(f, v .+ NEARBY, q, t)) || refuse_steps(
        "$name takes a force that depends on positions alone, and this one depends on velocities",
        "'Nystrom4' or 'FineRKN5', which solve SecondOrder, or a solver such as 'Tsit5'"
    )
    return nothing
end

function check_velocity(f, v, q, t, name)
    v, q = v .+ NEARBY, q .+ NEARBY
    isequal(value_of(f, v, q, t), value_of(f, v, q .+ NEARBY, t)) || refuse_steps(
        "$name takes a velocity that depends on momenta alone, and this one depends on positions",
        "a solver such as 'Tsit5'"
    )
    return nothing
end

refuse_steps(why, others) = throw(UnsupportedError("$why: steps would be of first order. Name $others."))

function value_of(f::Half, v, q, t)
    out = similar(q)
    call!(f.c_half, out, v, q, t)
    return out
end

"""A package that passes something else for `v` asks whether the force depends on it."""
(f::Half)(out, v, q, p, t) = check_force(f, zero(q), q, t, "The solver")

dynamical_problem(force, ::Nothing, v, q, p, tspan) = SecondOrderODEProblem{true}(force, v, q, tspan, p)
dynamical_problem(force, velocity, v, q, p, tspan) = DynamicalODEProblem{true}(force, velocity, v, q, tspan, p)

function halves(u)
    n = length(u) ÷ 2
    return u[1:n], u[(n + 1):end]
end

function flatten!(flat, ::Partitioned, u)
    v, q = u.x
    copyto!(flat, q)
    copyto!(flat, length(q) + 1, v, 1, length(v))
    return flat
end

"""A state in halves is asked about as the flat one."""
function (predicate::Predicate)(u::AbstractArray, p, t)
    v, q = u.x
    return predicate(vcat(q, v), p, t)
end

"""Two halves, each an address with its environment; a velocity of 0 is `q' = v`."""
function partitioned_equation(force, velocity, ordinary)
    return Partitioned(
        Half(two_vectors(force...)), iszero(velocity[1]) ? nothing : Half(two_vectors(velocity...)), ordinary
    )
end

"""
`u' = implicit(u, t) + explicit(u, t)`; `ordinary` is their sum. The implicit part is an `ODEFunction`, or, if it is
linear, its matrix.
"""
struct Split{F, O <: Ordinary} <: Equation
    implicit::F
    explicit::RightHandSide
    ordinary::O
end

function problem(equation::Split, u0, p, tspan)
    f = SplitFunction{true}(equation.implicit, equation.explicit)
    return SplitODEProblem(f, u0, tspan, p)
end

"""An implicit part with its Jacobian, and an explicit part."""
function split_equation(implicit, jacobian, explicit, ordinary)
    f = implicit_part(RightHandSide(one_vector(implicit...)), Jacobian(one_vector(jacobian...)))
    return Split(f, RightHandSide(one_vector(explicit...)), ordinary)
end

implicit_part(f, jac) = ODEFunction{true, SciMLBase.FullSpecialize}(f; jac)

"""A linear part by its matrix, and the rest."""
function semilinear_equation(matrix, type, n, explicit, ordinary)
    linear = MatrixOperator(copy(array(float_type(type), matrix, n, n)))
    return Split(linear, RightHandSide(one_vector(explicit...)), ordinary)
end

"""`u' = A(u, t) u` with a matrix computed by a C function; `ordinary` is the same as one function."""
struct Quasilinear{O <: Ordinary} <: Equation
    matrix::Jacobian
    ordinary::O
end

function problem(equation::Quasilinear, u0, p, tspan)
    n = length(u0)
    operator = MatrixOperator(zeros(eltype(u0), n, n); (update_func!) = equation.matrix)
    return ODEProblem{true, SciMLBase.FullSpecialize}(operator, u0, tspan, p)
end

quasilinear_equation(matrix, ordinary) = Quasilinear(Jacobian(one_vector(matrix...)), ordinary)

ordinary(equation::Union{Partitioned, Split, Quasilinear}) = equation.ordinary

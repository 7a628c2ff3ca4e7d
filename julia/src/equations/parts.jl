# Equations whose parts are C callbacks, and the problems of SciML that they stand for.

"""
An equation over a flat state. Each kind says which `problem` it is, and how a state of the solver lies in the flat one
(`flatten!`); where it must, also how it is started and saved.
"""
abstract type Equation end

"""`M du/dt = f(u, t)`."""
struct Ordinary{F <: ODEFunction} <: Equation
    f::F
end

Ordinary(callbacks::Callbacks, mass_matrix = I; jac_prototype = nothing) =
    Ordinary(ode_function(callbacks, mass_matrix, jac_prototype))

problem(equation::Ordinary, u0, p, tspan) = ODEProblem{true}(equation.f, u0, tspan, p)

flatten!(flat, ::Equation, u) = copyto!(flat, u)

"""Whether a solution that keeps the values at the times alone is not to be relied on."""
only_dense(::Equation) = false

"""What else `solve` is told."""
options(::Equation) = (;)

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

# Which kind of equation a solver takes.

is_partitioned(alg) = is_partitioned_type(typeof(alg))
is_partitioned_type(type) = type <: OrdinaryDiffEqCore.PartitionedAlgorithm || is_nystrom_type(type)
is_of_matrices(alg) = nameof(typeof(alg)) === :CayleyEuler
takes_operator(alg) = nameof(parentmodule(typeof(alg))) === :OrdinaryDiffEqLinear && !is_of_matrices(alg)
is_nystrom(alg) = is_nystrom_type(typeof(alg))
is_nystrom_type(type) = nameof(parentmodule(type)) === :OrdinaryDiffEqRKN
is_imex(alg) = nameof(typeof(alg)) in SPLIT_ONLY ||
    (alg isa OrdinaryDiffEqCore.OrdinaryDiffEqAlgorithm && OrdinaryDiffEqCore.issplit(alg))

"""The form of the equation that `alg` solves: as it is, or the sum of its parts."""
function suited(equation::Equation, alg)
    is_partitioned(alg) && refuse_parts(alg, "pairs q' = f(p), p' = g(q)", "SecondOrder or Partitioned, for odeint")
    return equation
end

function suited(equation::Ordinary, alg)
    is_partitioned(alg) && refuse_parts(alg, "pairs q' = f(p), p' = g(q)", "SecondOrder or Partitioned")
    nameof(typeof(alg)) in SPLIT_ONLY && refuse_parts(alg, "a stiff and another part", "Split")
    needs_matrix(alg) && refuse_parts(alg, "a linear and another part", "Split(matrix, f)")
    takes_operator(alg) && refuse_parts(alg, "y' = A(t, y) y by its matrix", "Quasilinear")
    is_of_matrices(alg) && throw(
        UnsupportedError("CayleyEuler solves flows of a matrix, Y' = A(Y) Y - Y A(Y), which the bridge does not serve.")
    )
    return equation
end

const SPLIT_ONLY = (:CNAB2, :CNLF2, :IRKC, :SBDF, :SplitEuler)
const SEMILINEAR = (:LawsonEuler, :NorsettEuler, :ETD2, :ETDRK2, :ETDRK3, :ETDRK4, :HochOst4)

"""Whether it needs the linear part's matrix; by Krylov subspaces, the Jacobian of an ordinary equation will do."""
needs_matrix(alg) = nameof(typeof(alg)) in SEMILINEAR && !(hasproperty(alg, :krylov) && alg.krylov)

function refuse_parts(alg, what, form)
    throw(UnsupportedError("$(nameof(typeof(alg))) solves $what: give the dynamics as pyode_bridge.$form."))
end

function suited(equation::Partitioned, alg)
    is_partitioned(alg) || return suited(equation.ordinary, alg)
    is_nystrom(alg) && equation.velocity !== nothing && throw(
        UnsupportedError(
            "$(nameof(typeof(alg))) is a Nystrom method, which solves q'' = g(t, q, q'): give the dynamics as " *
                "pyode_bridge.SecondOrder, with increasing t."
        )
    )
    return in_parts(equation, alg)
end

"""The equation, whose parts `alg` treats apart; of these, a mass matrix or a Jacobian's pattern would say nothing."""
function in_parts(equation, alg)
    (; mass_matrix, jac_prototype) = equation.ordinary.f
    mass_matrix === I && jac_prototype === nothing && return equation
    throw(
        UnsupportedError(
            "$(nameof(typeof(alg))) treats the parts of an equation apart, and takes neither mass_matrix nor " *
                "jac_sparsity then: give the dynamics as one function, or name a solver of the whole, such as Rodas5P."
        )
    )
end

"""The solver of the backward solve: `alg`, if it can run the adjoint, which is one ordinary equation."""
function backward_algorithm(equation::Equation, alg)
    is_partitioned(alg) || return alg
    suited(equation, alg) # which may refuse it for the forward solve already
    throw(
        UnsupportedError(
            "$(nameof(typeof(alg))) cannot run the backward solve, which has no halves: name another solver for " *
                "that, for example with adjoint_method=\"Vern7\"."
        )
    )
end

suited(equation::Quasilinear, alg) = takes_operator(alg) ? in_parts(equation, alg) : suited(equation.ordinary, alg)

suited(equation::Split, alg) = is_imex(alg) ? in_parts(equation, alg) : suited(equation.ordinary, alg)

"""
An implicit-explicit method takes a linear part as a function with a Jacobian: for an operator it would solve its linear
systems by GMRES, which in Float32 does not get as close as it asks for, and goes on for ever.
"""
function suited(equation::Split{<:MatrixOperator}, alg)
    alg isa OrdinaryDiffEqCore.ExponentialAlgorithm && return in_parts(equation, alg)
    is_imex(alg) || return suited(equation.ordinary, alg)
    in_parts(equation, alg)
    matrix = equation.implicit.A
    f = ODEFunction{true, SciMLBase.FullSpecialize}(Linear(matrix); jac = Constant(matrix))
    return Split(f, equation.explicit, equation.ordinary)
end

"""`u' = A u`."""
struct Linear{T}
    matrix::Matrix{T}
end

(f::Linear)(du, u, p, t) = mul!(du, f.matrix, u)

"""A Jacobian that is the same everywhere."""
struct Constant{T}
    matrix::Matrix{T}
end

(f::Constant)(J, u, p, t) = copyto!(J, f.matrix)

"""The equation as an ordinary one, which adjoints differentiate."""
ordinary(equation::Ordinary) = equation
ordinary(equation::Union{Partitioned, Split, Quasilinear}) = equation.ordinary

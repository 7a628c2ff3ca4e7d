# Equations whose parts are C callbacks, and the ordinary one; see the other files of this folder for further kinds.

"""
An equation over a flat state. Each kind says which `problem` it is, and how a state of the solver lies in the flat one
(`flatten!`); where it must, also how it is started and saved.
"""
abstract type Equation end

flatten!(flat, ::Equation, u) = copyto!(flat, u)

"""Whether a solution that keeps the values at the times alone is not to be relied on."""
only_dense(::Equation) = false

"""Whether values between steps are those of the solution; else steps end at the times that are asked for."""
has_values_between_steps(::Equation) = true

"""Refuse steps from `u0` at `t` with which values would be wrong."""
check_steps(::Equation, u0, t, alg, control) = nothing

"""What else `solve` is told."""
options(::Equation) = (;)

"""Evaluations, Jacobians, steps taken and steps rejected, from what a solver counted."""
counts(::Equation, stats) = counts(stats)

"""The equation of a trajectory of an ensemble, by its number from 0."""
of_trajectory(equation::Equation, number) = equation

"""`M du/dt = f(u, t)`."""
struct Ordinary{F <: ODEFunction} <: Equation
    f::F
end

Ordinary(callbacks::Callbacks, mass_matrix = I; jac_prototype = nothing) =
    Ordinary(ode_function(callbacks, mass_matrix, jac_prototype))

problem(equation::Ordinary, u0, p, tspan) = ODEProblem{true}(equation.f, u0, tspan, p)

"""The equation as an ordinary one, which adjoints differentiate."""
ordinary(equation::Ordinary) = equation

"""
`M y' = f`: four C functions, each with its environment or 0, the addresses of a mass matrix and of a Jacobian's
pattern, or 0; see `pattern`; and times at which `f` jumps.
"""
function ordinary_equation(pointers, envs, type, n, mass, columns, rows, jumps = ())
    T = float_type(type)
    mass_matrix = iszero(mass) ? I : copy(array(T, mass, n, n))
    # With them comes OrdinaryDiffEqNonlinearSolve, which finds the algebraic components of an adjoint's start.
    mass_matrix === I || load_package("OrdinaryDiffEqSDIRK")
    jac_prototype = iszero(columns) ? nothing : pattern(T, n, columns, rows)
    made = callbacks(pointers, envs)
    isempty(jumps) || (made = beside_jumps(made, jumps, T))
    return Ordinary(made, mass_matrix; jac_prototype)
end

"""A sparse matrix with an entry wherever the pattern has one: row numbers, column by column, counted from 0."""
function pattern(::Type{T}, n, columns, rows) where {T}
    starts = array(Int, columns, n + 1) .+ 1
    found = array(Int, rows, starts[end] - 1) .+ 1
    return SparseMatrixCSC(n, n, starts, found, ones(T, length(found)))
end

"""What solves a solver's linear systems, of an equation whose Jacobian has a pattern."""
function linear_solver(equation::Ordinary, alg)
    linsolve = hasproperty(alg, :linsolve) ? alg.linsolve : nothing
    linsolve === nothing || return string(nameof(typeof(linsolve)))
    matrix = equation.f.jac_prototype
    right = zeros(eltype(matrix), size(matrix, 1))
    return string(LinearSolve.defaultalg(matrix, right, LinearSolve.OperatorAssumptions(true)).alg)
end

# Which form of an equation a solver gets: as it is, or the sum of its parts.

"""The form of the equation that `alg` solves: as it is, or the sum of its parts."""
function solver_form(equation::Equation, alg)
    is_partitioned(alg) && refuse_parts(alg, "pairs q' = f(p), p' = g(q)", "SecondOrder or Partitioned, for odeint")
    return equation
end

function solver_form(equation::Ordinary, alg)
    is_partitioned(alg) && refuse_parts(alg, "pairs q' = f(p), p' = g(q)", "SecondOrder or Partitioned")
    is_split_only(alg) && refuse_parts(alg, "a stiff or fast part and another", "Split")
    needs_matrix(alg) && refuse_parts(alg, "a linear and another part", "Split(matrix, f)")
    takes_operator(alg) && refuse_parts(alg, "y' = A(t, y) y by its matrix", "Quasilinear")
    is_of_matrices(alg) && throw(
        UnsupportedError("CayleyEuler solves flows of a matrix, Y' = A(Y) Y - Y A(Y), which the bridge does not serve.")
    )
    return equation
end

function refuse_parts(alg, what, form)
    throw(UnsupportedError("$(nameof(typeof(alg))) solves $what: give the dynamics as pyode_bridge.$form."))
end

function solver_form(equation::Partitioned, alg)
    is_partitioned(alg) || return solver_form(equation.ordinary, alg)
    is_second_order(alg) && equation.velocity !== nothing && throw(
        UnsupportedError(
            "$(nameof(typeof(alg))) solves q'' = g(t, q, q'): give the dynamics as pyode_bridge.SecondOrder, with " *
                "increasing t."
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

solver_form(equation::Quasilinear, alg) = takes_operator(alg) ? in_parts(equation, alg) : solver_form(equation.ordinary, alg)

solver_form(equation::Split, alg) = is_imex(alg) ? in_parts(equation, alg) : solver_form(equation.ordinary, alg)

"""
An implicit-explicit method takes a linear part as a function with a Jacobian: for an operator it would solve its linear
systems by GMRES, which in Float32 does not get as close as it asks for, and goes on for ever.
"""
function solver_form(equation::Split{<:MatrixOperator}, alg)
    alg isa OrdinaryDiffEqCore.ExponentialAlgorithm && return in_parts(equation, alg)
    is_imex(alg) || return solver_form(equation.ordinary, alg)
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

function solver_form(equation::Steady, alg)
    solver_form(equation.ordinary, alg) # refuses solvers of parts
    return equation
end

# What Python calls. Arrays come as addresses of memory that Python owns and keeps alive during the call.

array(::Type{T}, address::Integer, dims...) where {T} = unsafe_wrap(Array, Ptr{T}(UInt(address)), dims)

pointer_at(address) = Ptr{Cvoid}(UInt(address))

one_vector(address, env = 0) = CFunction(closure(OneVector, pointer_at(address)), pointer_at(env))
two_vectors(address, env = 0) = CFunction(closure(TwoVectors, pointer_at(address)), pointer_at(env))

"""Dynamics with their products and their Jacobian, at four addresses; see `Callbacks`."""
callbacks(pointers, envs = (0, 0, 0, 0)) =
    Callbacks(map((made, address, env) -> made(address, env), FUNCTIONS, Tuple(pointers), Tuple(envs))...)

const FUNCTIONS = (one_vector, two_vectors, two_vectors, one_vector)

float_type(name::AbstractString) = name == "float32" ? Float32 : Float64

tolerance(::Type{T}, value::Real) where {T} = T(value)
tolerance(::Type{T}, value) where {T} = T[x for x in value]

# Equations, from the addresses of their C functions.

"""
`M y' = f`: four C functions, each with its environment or 0, and the addresses of a mass matrix and of a Jacobian's
pattern, or 0; see `pattern`.
"""
function ordinary_equation(pointers, envs, type, n, mass, columns, rows)
    T = float_type(type)
    mass_matrix = iszero(mass) ? I : copy(array(T, mass, n, n))
    # With them comes OrdinaryDiffEqNonlinearSolve, which finds the algebraic components of an adjoint's start.
    mass_matrix === I || load_package("OrdinaryDiffEqSDIRK")
    jac_prototype = iszero(columns) ? nothing : pattern(T, n, columns, rows)
    return Ordinary(callbacks(pointers, envs), mass_matrix; jac_prototype)
end

"""A sparse matrix with an entry wherever the pattern has one: row numbers, column by column, counted from 0."""
function pattern(::Type{T}, n, columns, rows) where {T}
    starts = array(Int, columns, n + 1) .+ 1
    found = array(Int, rows, starts[end] - 1) .+ 1
    return SparseMatrixCSC(n, n, starts, found, ones(T, length(found)))
end

"""Two halves; a velocity of 0 is `q' = v`."""
function partitioned_equation(force, velocity, ordinary)
    return Partitioned(
        Half(two_vectors(force)), iszero(velocity) ? nothing : Half(two_vectors(velocity)), ordinary
    )
end

"""An implicit part with its Jacobian, and an explicit part."""
function split_equation(implicit, jacobian, explicit, ordinary)
    f = ODEFunction{true, SciMLBase.FullSpecialize}(
        RightHandSide(one_vector(implicit)); jac = Jacobian(one_vector(jacobian))
    )
    return Split(f, RightHandSide(one_vector(explicit)), ordinary)
end

"""A linear part by its matrix, and the rest."""
function semilinear_equation(matrix, type, n, explicit, ordinary)
    linear = MatrixOperator(copy(array(float_type(type), matrix, n, n)))
    return Split(linear, RightHandSide(one_vector(explicit)), ordinary)
end

quasilinear_equation(matrix, ordinary) = Quasilinear(Jacobian(one_vector(matrix)), ordinary)

"""Four callbacks of the drift, three of the diffusion, and what `Stochastic` says."""
function stochastic_equation(drift, diffusion, noise, processes, seed, keep_paths)
    own, (value, vjp, vjp_p) = callbacks(drift), diffusion
    return Stochastic(
        Differentiable(own.c_rhs, own.c_vjp, own.c_vjp_p), Jacobian(own.c_jacobian),
        Differentiable(one_vector(value), two_vectors(vjp), two_vectors(vjp_p)),
        String(noise), Int(processes), UInt64(seed), keep_paths
    )
end

"""A steady state of an ordinary equation; see `Steady`."""
function steady_equation(ordinary, type, n, abstol, reltol)
    T = float_type(type)
    return Steady(ordinary, zeros(T, n), tolerance(T, abstol), max.(tolerance(T, reltol), ROUNDINGS * eps(T)))
end

function delayed_equation(rhs, type, n, lags, history)
    T = float_type(type)
    return Delayed(
        DelayedRightHandSide(two_vectors(rhs), T[lag for lag in lags], zeros(T, n, length(lags))),
        History{T}(one_vector(history), n)
    )
end

function residual_equation(residual, jacobian, type, n, dy0, differential)
    T = float_type(type)
    return Residual(
        ResidualFunction(two_vectors(residual)), ResidualJacobian(two_vectors(jacobian), zeros(T, n, n, 2)),
        copy(array(T, dy0, n)), Bool[flag for flag in differential]
    )
end

# Solving them.

"""A solved problem, kept by Python for the backward pass."""
struct Solved{E <: Equation, S, T}
    equation::E
    sol::S
    p::Vector{T}
    t::Vector{Float64}
    retcode::String
    t_reached::Float64
    nfe::Int
    njac::Int
    accepted::Int
    rejected::Int
end

"""
Solve and write the values at the times into the memory at `ys`; see `forward`. `sensealg` is the adjoint that will
follow, or nothing; `np` is how many parameters it finds; `dense` keeps the solution between the times.
"""
function solve_equation(equation, type, y0, n, np, times, nt, ys, alg, abstol, reltol, control, sensealg, dense)
    T = float_type(type)
    t = copy(array(Float64, times, nt))
    u0 = copy(array(T, y0, n))
    # The callback reads the module's own parameters: the adjoint needs to know how many there are, not their values.
    p = zeros(T, np)
    form = suited(equation, alg)
    sol, t_reached = forward(
        form, u0, p, t, forward_algorithm(form, alg, sensealg, control);
        abstol = tolerance(T, abstol), reltol = tolerance(T, reltol), control,
        dense = dense || keeps_steps(sensealg, control, alg, n), ys = array(T, ys, n, nt),
        ends_at_times = sensealg isa DiscreteAdjoint && !has_fixed_steps(control, alg)
    )
    return Solved(form, sol, p, t, string(sol.retcode), t_reached, counts(sol.stats)...)
end

"""Whether a solve keeps all of its steps for the adjoint: not where the adjoint would solve again all the same."""
keeps_steps(sensealg, control, alg, n) = needs_dense(sensealg) &&
    (sensealg isa DiscreteAdjoint || has_fixed_steps(control, alg) || reliable(alg, n) === alg)

"""Return code, time reached, evaluations, Jacobians, steps taken and steps rejected."""
const Report = Tuple{String, Float64, Int, Int, Int, Int}

"""What Python reads of a solved problem."""
report(solved::Solved)::Report = (
    solved.retcode, solved.t_reached, solved.nfe, solved.njac, solved.accepted, solved.rejected,
)

"""A solved problem and its report: for Python, two calls take longer. Nothing is solved where the problem is found stiff."""
function solve_and_report(arguments...)
    solved = or_stiff(() -> solve_equation(arguments...))
    return (solved, report(solved)...)
end

report(err::FoundStiff)::Report = (STIFF, err.t, err.stats...)
report(found::Report)::Report = found

counts(stats) = (Int(stats.nf), Int(stats.njacs), Int(stats.naccept), Int(stats.nreject))
counts(::Nothing) = (-1, -1, -1, -1) # a solver that counts nothing

"""Write the values, or derivatives of an order, of a dense solution at the times into the memory at `out`."""
function interpolate(solved::Solved{E, S, T}, times, n, nt, out, derivative) where {E, S, T}
    for (column, t) in zip(eachcol(array(T, out, n, nt)), array(Float64, times, nt))
        flatten!(column, solved.equation, solved.sol(t, Val{Int(derivative)}))
    end
    return nothing
end

"""The times at which the steps of a dense solution began and ended."""
step_times(solved::Solved) = convert(Vector{Float64}, solved.sol.t)

"""Solve until something has happened; see `solve_until`."""
function locate(equation, type, y0, n, t0, t1, happened, looks, alg, abstol, reltol, control)
    T = float_type(type)
    form = suited(equation, alg)
    form isa Partitioned && throw(
        UnsupportedError("$(nameof(typeof(alg))) is a partitioned method, which looks for no events; name another.")
    )
    found = or_stiff() do
        solve_until(
            form, Predicate(pointer_at(happened)), looks, copy(array(T, y0, n)), Float64(t0), Float64(t1), alg;
            abstol = tolerance(T, abstol), reltol = tolerance(T, reltol), control
        )
    end
    return found isa FoundStiff ? (found.t, STIFF) : found
end

"""
How a backward solve ended: its return code, the time where the state that it solved for again is off most, or where it
stopped, that error, and the state's size.
"""
const PulledBack = Tuple{String, Float64, Float64, Float64}

pulled_back(::Nothing)::PulledBack = ("Success", NaN, 0, 0)
pulled_back(found::Mismatch)::PulledBack = ("Success", found.t, found.error, found.size)
pulled_back(err::EndedEarly)::PulledBack = (err.retcode, err.t, 0, 0)

"""Write the gradients for the loss gradients at `grads` into the memory at `dy0` and `dp`; see `backward!`."""
function pull_back(solved::Solved{E, S, T}, grads, dy0, n, dp, alg, sensealg, abstol, reltol, control) where {E, S, T}
    return try
        bounds = (; abstol = T(abstol), reltol = T(reltol), control)
        found = backward!(
            array(T, dy0, n), array(T, dp, length(solved.p)), adjoint_solution(solved, alg, sensealg; bounds...),
            array(T, grads, n, length(solved.t)), solved.t, backward_algorithm(solved.equation, alg, sensealg), sensealg;
            bounds...
        )
        pulled_back(found)
    catch err
        err isa EndedEarly || rethrow()
        pulled_back(err)
    end
end

"""Versions of Julia and of the packages that do the work, as pairs of strings."""
function versions()
    packages = (
        OrdinaryDiffEqCore, OrdinaryDiffEqTsit5, SciMLBase, SciMLSensitivity, LinearSolve, @__MODULE__,
    )
    return vcat(["Julia" => string(VERSION)], [string(nameof(mod)) => string(pkgversion(mod)) for mod in packages])
end

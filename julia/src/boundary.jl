# What Python calls. Arrays come as addresses of memory that Python owns and keeps alive during the call.

"""A solved problem, kept by Python for the backward pass."""
struct Solved{S}
    sol::S
    t::Vector{Float64}
    retcode::String
    t_reached::Float64
    nfe::Int
    njac::Int
    accepted::Int
    rejected::Int
end

array(::Type{T}, address::Integer, dims...) where {T} = unsafe_wrap(Array, Ptr{T}(UInt(address)), dims)

float_type(name::AbstractString) = name == "float32" ? Float32 : Float64

tolerance(::Type{T}, value::Real) where {T} = T(value)
tolerance(::Type{T}, value) where {T} = T[x for x in value]

"""
Solve and write the values at the times into the memory at `ys`; see `forward`. `sensealg` is the adjoint that will
follow, or nothing; `mass` is the address of a mass matrix, or 0; `dense` keeps the solution between the times.
"""
function solve_callbacks(pointers, type, y0, n, np, times, nt, ys, alg, abstol, reltol, control, sensealg, mass, dense)
    T = float_type(type)
    callbacks = Callbacks(map(address -> Ptr{Cvoid}(UInt(address)), Tuple(pointers))...)
    t = copy(array(Float64, times, nt))
    u0 = copy(array(T, y0, n))
    # The callback reads the module's own parameters: the adjoint needs to know how many there are, not their values.
    p = zeros(T, np)
    sol, t_reached = forward(
        callbacks, u0, p, t, forward_algorithm(alg, sensealg, control);
        abstol = tolerance(T, abstol), reltol = tolerance(T, reltol), control,
        mass_matrix = mass_matrix(T, mass, n), dense = dense || needs_dense(sensealg), ys = array(T, ys, n, nt)
    )
    stats = sol.stats
    return Solved(
        sol, t, string(sol.retcode), t_reached, Int(stats.nf), Int(stats.njacs), Int(stats.naccept),
        Int(stats.nreject)
    )
end

"""Write the values, or derivatives of an order, of a dense solution at the times into the memory at `out`."""
function interpolate(solved::Solved, times, nt, out, derivative)
    u0 = solved.sol.prob.u0
    values = array(eltype(u0), out, length(u0), nt)
    for (column, t) in zip(eachcol(values), array(Float64, times, nt))
        solved.sol(column, t, Val{Int(derivative)})
    end
    return nothing
end

"""The times at which the steps of a dense solution began and ended."""
step_times(solved::Solved) = convert(Vector{Float64}, solved.sol.t)

"""Find the first of `k` conditions that crosses zero between two times; see `first_crossing`."""
function locate(pointers, type, y0, n, t0, t1, conditions, k, y, alg, abstol, reltol, control, mass)
    T = float_type(type)
    callbacks = Callbacks(map(address -> Ptr{Cvoid}(UInt(address)), Tuple(pointers))...)
    return first_crossing(
        callbacks, Conditions(Ptr{Cvoid}(UInt(conditions)), zeros(k)), copy(array(T, y0, n)), Float64(t0),
        Float64(t1), alg;
        abstol = tolerance(T, abstol), reltol = tolerance(T, reltol), control, mass_matrix = mass_matrix(T, mass, n),
        y = array(T, y, n)
    )
end

mass_matrix(::Type{T}, address, n) where {T} = iszero(address) ? I : copy(array(T, address, n, n))

"""Write the gradients for the loss gradients at `grads` into the memory at `dy0` and `dp`; see `backward!`."""
function pull_back(solved::Solved, grads, dy0, dp, alg, sensealg, abstol, reltol, control)
    T = eltype(solved.sol.prob.u0)
    n, np = length(solved.sol.prob.u0), length(solved.sol.prob.p)
    backward!(
        array(T, dy0, n), array(T, dp, np), solved.sol, array(T, grads, n, length(solved.t)), solved.t, alg, sensealg;
        abstol = T(abstol), reltol = T(reltol), control
    )
    return nothing
end

"""Versions of Julia and of the packages that do the work, as pairs of strings."""
function versions()
    packages = (
        OrdinaryDiffEqCore, OrdinaryDiffEqTsit5, SciMLBase, SciMLSensitivity, LinearSolve, @__MODULE__,
    )
    return vcat(["Julia" => string(VERSION)], [string(nameof(mod)) => string(pkgversion(mod)) for mod in packages])
end

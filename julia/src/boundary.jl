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

step_control(dt, dtmin, dtmax, maxiters, adaptive) = StepControl(; dt, dtmin, dtmax, maxiters, adaptive)

"""
Solve and write the values at the times into the memory at `ys`; see `forward`. `sensealg` is the adjoint that will
follow, or nothing.
"""
function solve_callbacks(pointers, type, y0, n, np, times, nt, ys, alg, abstol, reltol, control, sensealg)
    T = float_type(type)
    callbacks = Callbacks(map(address -> Ptr{Cvoid}(UInt(address)), Tuple(pointers))...)
    t = copy(array(Float64, times, nt))
    u0 = copy(array(T, y0, n))
    # The callback reads the module's own parameters: the adjoint needs to know how many there are, not their values.
    p = zeros(T, np)
    sol, t_reached = forward(
        callbacks, u0, p, t, forward_algorithm(alg, sensealg, control);
        abstol = tolerance(T, abstol), reltol = tolerance(T, reltol), control, dense = needs_dense(sensealg),
        ys = array(T, ys, n, nt)
    )
    stats = sol.stats
    return Solved(
        sol, t, string(sol.retcode), t_reached, Int(stats.nf), Int(stats.njacs), Int(stats.naccept),
        Int(stats.nreject)
    )
end

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

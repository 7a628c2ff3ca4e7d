# Where a function of the solution first crosses zero, found by the solver's own interpolant.

"""Conditions computed by a C function `(out, u, t)` with Float64 values, into a buffer of its own."""
struct Conditions
    c_conditions::Ptr{Cvoid}
    values::Vector{Float64}
end

function (f::Conditions)(out, u::Dense{T}, t, integrator) where {T <: Union{Float32, Float64}}
    values = f.values
    status = GC.@preserve values u begin
        address, out_values, state, time = f.c_conditions, pointer(values), pointer(u), Float64(t)
        outside(() -> ccall(address, Cint, (Ptr{Float64}, Ptr{T}, Cdouble), out_values, state, time))
    end
    iszero(status) || throw(CallbackError())
    copyto!(out, values)
    return nothing
end

"""Notes which condition crossed zero, and ends the solve."""
struct Noting
    index::Base.RefValue{Int}
end

function (f::Noting)(integrator, crossings)
    f.index[] = something(findfirst(!iszero, crossings), 0)
    SciMLBase.terminate!(integrator)
    return nothing
end

"""
    first_crossing(equation, conditions, u0, t0, t1, alg; abstol, reltol, control, y)

Solve from `t0` until one of the conditions crosses zero or `t1` is reached. Writes the state there to `y`, and returns
the time, the index of the condition (0 if none crossed) and the return code.
"""
function first_crossing(
        equation::Equation, conditions::Conditions, u0::Vector{T}, t0::Float64, t1::Float64, alg;
        abstol, reltol, control::StepControl, y::Vector{T}
    ) where {T}
    noting = Noting(Ref(0))
    callback = VectorContinuousCallback(
        conditions, noting, length(conditions.values); save_positions = (false, false)
    )
    return quietly() do
        integrator = start(equation, u0, T[], [t0, t1], alg; abstol, reltol, control, callback, save_everystep = false)
        sol = run!(integrator, control.until_stiff)
        copyto!(y, integrator.u)
        Float64(integrator.t), noting.index[], string(sol.retcode)
    end
end

# Python's functions that hear of each step.

"""
C functions `(u, t, dt, length)` that are told of a step before it is tried, where it is accepted, and where not: its
start, the state there, and its length; null for nobody. They return 0 on success.
"""
struct Listeners
    step::Ptr{Cvoid}
    accept::Ptr{Cvoid}
    reject::Ptr{Cvoid}
end

"""Tell one of them, if there is one."""
function tell(listener::Ptr{Cvoid}, u::Dense, t, dt)
    listener == C_NULL && return nothing
    status = GC.@preserve u begin
        state, time, step, size = Ptr{Cvoid}(pointer(u)), Float64(t), Float64(abs(dt)), length(u)
        gc_safe(() -> ccall(listener, Cint, (Ptr{Cvoid}, Cdouble, Cdouble, Int), state, time, step, size))
    end
    iszero(status) || throw(CallbackError())
    return nothing
end

tell(listener::Ptr{Cvoid}, u, t, dt) = listener == C_NULL ? nothing : tell(listener, flattened(u), t, dt)

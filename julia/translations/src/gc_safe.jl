# Calls of C code that may wait.

"""
    gc_safe(call)

The result of `call`, which calls C code that may wait for Python's lock, and touches nothing of Julia's. Whoever has
that lock meanwhile may be in Julia too, and collect garbage without waiting for this thread.
"""
@inline function gc_safe(call)
    state = ccall(:jl_gc_safe_enter, Int8, ())
    result = call()
    ccall(:jl_gc_safe_leave, Cvoid, (Int8,), state)
    return result
end

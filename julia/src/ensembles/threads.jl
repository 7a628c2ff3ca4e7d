# Solves on Julia's threads, which can be ended, and of which Python is told how many are done.

"""Whether the solves in progress are to end."""
const STOPPING = Threads.Atomic{Bool}(false)

"""
The C function that is told how many solves are done, in the thread that was called, which alone may call Python; that
number; and when it is told next.
"""
mutable struct Telling
    notify::Ptr{Cvoid}
    done::Threads.Atomic{Int}
    thread::Int
    next::Float64
end

const TELLING = Ref(Telling(C_NULL, Threads.Atomic{Int}(0), 0, Inf))
const SECONDS_UNTOLD = 0.1

"""Tell how many solves are done if that is due, in the thread for it; what is not 0 in answer ends them all."""
function tell_now_and_then(telling::Telling)
    Threads.threadid() == telling.thread && time() >= telling.next || return nothing
    notify, count = telling.notify, telling.done[]
    iszero(outside(() -> ccall(notify, Cint, (Int,), count))) || (STOPPING[] = true)
    telling.next = time() + SECONDS_UNTOLD
    return nothing
end

"""What compiled functions call in place of Python's tick."""
function stopping(::Cdouble)::Cint
    tell_now_and_then(TELLING[])
    return STOPPING[] ? Cint(-1) : Cint(0)
end

"""
Call `work(lane, k)` for every trajectory `k`, the lanes side by side: in the thread that was called, which is Python's
and cannot wait for others of Julia's, and on the others. Throws the first error, which ends them all.
"""
function each_trajectory(work, lanes, notify)
    STOPPING[] = false
    telling = TELLING[] = Telling(pointer_at(notify), Threads.Atomic{Int}(0), Threads.threadid(), 0.0)
    next = Threads.Atomic{Int}(1)
    take_lanes() = try
        while (number = Threads.atomic_add!(next, 1)) <= length(lanes)
            share(work, lanes[number], telling)
        end
    catch err
        STOPPING[] = true
        err
    end
    blas_threads, product_threads = BLAS.get_num_threads(), Kernels.limit_threads(1)
    BLAS.set_num_threads(1)
    errors = try
        tasks = [Threads.@spawn take_lanes() for _ in 2:Threads.nthreads()]
        own = take_lanes()
        while !all(istaskdone, tasks)
            outside(() -> Libc.systemsleep(0.001))
            tell_now_and_then(telling)
        end
        filter!(!isnothing, Any[own; map(fetch, tasks)])
    finally
        Kernels.limit_threads(product_threads)
        BLAS.set_num_threads(blas_threads)
    end
    # Those that were ended by another's have errors that say no more.
    isempty(errors) || throw(errors[something(findfirst(err -> !(err isa CallbackError), errors), 1)])
    return nothing
end

function share(work, lane, telling)
    for k in lane.trajectories
        STOPPING[] && throw(CallbackError())
        Kernels.limit_threads(1) # in each of Julia's own threads, which multiply for ensembles alone; tasks may change it
        work(turn_to!(lane, k), k)
        Threads.atomic_add!(telling.done, 1)
        tell_now_and_then(telling)
    end
    return nothing
end

# Solves on Julia's threads, which can be ended, and of which Python is told how many are done.

"""Whether the solves in progress are to end."""
const STOP_REQUESTED = Threads.Atomic{Bool}(false)

"""
The C function that is told how many solves are done, in the thread that was called, which alone may call Python; that
number; and when it is told next.
"""
mutable struct Progress
    notify::Ptr{Cvoid}
    done::Threads.Atomic{Int}
    thread::Int
    next::Float64
end

const IDLE = Progress(C_NULL, Threads.Atomic{Int}(0), 0, Inf)
const PROGRESS = Ref(IDLE)
const SECONDS_BETWEEN_NOTICES = 0.1

"""Tell how many solves are done if that is due, in the thread for it; what is not 0 in answer ends them all."""
function notify_now_and_then(progress::Progress)
    Threads.threadid() == progress.thread && time() >= progress.next || return nothing
    notify, count = progress.notify, progress.done[]
    iszero(gc_safe(() -> ccall(notify, Cint, (Int,), count))) || (STOP_REQUESTED[] = true)
    progress.next = time() + SECONDS_BETWEEN_NOTICES
    return nothing
end

"""What compiled functions call in place of Python's tick."""
function ensemble_tick(::Cdouble)::Cint
    notify_now_and_then(PROGRESS[])
    return STOP_REQUESTED[] ? Cint(-1) : Cint(0)
end

"""
Call `work(chunk, k)` for every trajectory `k`, the chunks side by side: in the thread that was called, which is Python's
and cannot wait for others of Julia's, and on the others. Throws the first error, which ends them all.
"""
function each_trajectory(work, chunks, notify)
    STOP_REQUESTED[] = false
    progress = PROGRESS[] = Progress(pointer_at(notify), Threads.Atomic{Int}(0), Threads.threadid(), 0.0)
    next = Threads.Atomic{Int}(1)
    take_chunks() = try
        while (number = Threads.atomic_add!(next, 1)) <= length(chunks)
            work_through(work, chunks[number], progress)
        end
    catch err
        STOP_REQUESTED[] = true
        err
    end
    blas_threads, product_threads = BLAS.get_num_threads(), Kernels.limit_threads(1)
    BLAS.set_num_threads(1)
    errors = try
        tasks = [Threads.@spawn take_chunks() for _ in 2:Threads.nthreads()]
        own = take_chunks()
        while !all(istaskdone, tasks)
            gc_safe(() -> Libc.systemsleep(0.001))
            notify_now_and_then(progress)
        end
        filter!(!isnothing, Any[own; map(fetch, tasks)])
    finally
        Kernels.limit_threads(product_threads)
        BLAS.set_num_threads(blas_threads)
        PROGRESS[] = IDLE
    end
    STOP_REQUESTED[] = false # of tasks that have all ended
    # Those that were ended by another's have errors that say no more.
    isempty(errors) || throw(errors[something(findfirst(err -> !(err isa CallbackError), errors), 1)])
    return nothing
end

function work_through(work, chunk, progress)
    for k in chunk.trajectories
        STOP_REQUESTED[] && throw(CallbackError())
        Kernels.limit_threads(1) # in each of Julia's own threads, which multiply for ensembles alone; tasks may change it
        work(turn_to!(chunk, k), k)
        Threads.atomic_add!(progress.done, 1)
        notify_now_and_then(progress)
    end
    return nothing
end

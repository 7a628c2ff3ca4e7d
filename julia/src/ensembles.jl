# Many solves of one equation on Julia's threads. Its functions are compiled, so no thread needs Python.

"""Whether the solves in progress are to end; told to compiled functions in place of Python's tick."""
const STOPPING = Threads.Atomic{Bool}(false)

stopping(::Cdouble)::Cint = STOPPING[] ? Cint(-1) : Cint(0)

"""
The equation with memory of its own, for `trajectories` that are solved one after another: `env` is as the Python half
made it for the first of all, but for the places that are `moving`.
"""
struct Lane{E <: Equation}
    equation::E
    env::Vector{Int}
    work::Vector{UInt8}
    memory::Vector{UInt8}
    moving::Vector{NTuple{3, Int}} # place in env, address for the first trajectory, bytes from one to the next
    trajectories::UnitRange{Int}
    integrator::Ref{Any} # of the trajectory before, where the next one may use it; else nothing
end

function Lane(pointers, env::Vector{Int}, work_size, memory_size, moving, type, n, trajectories)
    work, memory, own = zeros(UInt8, work_size), zeros(UInt8, memory_size), copy(env)
    own[Kernels.TICK] = Int(@cfunction(stopping, Cint, (Cdouble,)))
    own[Kernels.WORK], own[Kernels.MEMORY] = Int(pointer(work)), Int(pointer(memory))
    equation = ordinary_equation(pointers, map(_ -> UInt(pointer(own)), pointers), type, n, 0, 0, 0)
    return Lane(equation, own, work, memory, moving, trajectories, Ref{Any}(nothing))
end

"""Let the compiled functions work for a trajectory, counted from 1."""
function turn_to!(lane::Lane, trajectory)
    for (place, first, step) in lane.moving
        lane.env[place] = first + (trajectory - 1) * step
    end
    lane.env[Kernels.LEFT] = CALLS_UNWATCHED
    unsafe_store!(Ptr{Float64}(pointer(lane.memory)), NaN) # a product remembered belongs to another trajectory
    return lane
end

const CALLS_UNWATCHED = 1000 # of a function, between looks at whether to stop
const LANES_A_THREAD = 8 # so that threads end at about the same time

"""Shares of the numbers from 1 to `count`, alike in size."""
function shares(count)
    parts = min(count, LANES_A_THREAD * Threads.nthreads())
    ends = [count * part ÷ parts for part in 0:parts]
    return [(ends[part] + 1):ends[part + 1] for part in 1:parts]
end

"""
What was found of each trajectory; what their backward solves need, where it was kept, and else `again(lane, k)`, which
solves for it; and the lanes that solved them, whose memory these use.
"""
struct SolvedEnsemble{F}
    lanes::Vector{Lane}
    reports::Vector{Report}
    solved::Vector{Any}
    again::F
end

# Bytes of solutions to keep for backward solves. More would take longer than to solve again: they are many small arrays,
# all of which Julia's garbage collector visits each time.
const MOST_KEPT = 2^28
const VECTORS_A_STEP = 9 # of a solution between the times: the state and the stages
const BYTES_BESIDE = 64 # of a vector, for itself

# A solution that nobody keeps needs no memory of its own: an integrator begins anew, trajectory after trajectory.

"""Methods whose integrators are as new after `reinit!`: they keep nothing from step to step, and interpolate well."""
const BEGINNING_ANEW = (:BS3, :BS5, :DP5, :DP8, :Tsit5, :Vern6, :Vern7, :Vern8, :Vern9)

begins_anew(alg, control) =
    nameof(typeof(alg)) in BEGINNING_ANEW && control.dt === nothing && !has_fixed_steps(control, alg)

"""Solve by the lane's integrator, write the values at `t` into the columns of `ys`, and report."""
function next_report!(lane, u0, t, alg, ys; keywords...)
    integrator = lane.integrator[]
    lane.integrator[] = nothing # what ends early leaves it in the middle of a step
    if integrator === nothing
        integrator = start(lane.equation, u0, similar(u0, 0), t, alg; nothing_but(t)..., keywords...)
    else
        begin_anew!(integrator, u0)
    end
    return finished!(lane, integrator, t, ys, keywords[:control].until_stiff)
end

function begin_anew!(integrator, u0)
    stats = integrator.stats
    foreach(name -> setproperty!(stats, name, 0), fieldnames(typeof(stats)))
    SciMLBase.reinit!(integrator, u0)
    return nothing
end

function finished!(lane, integrator, t, ys, until_stiff)::Report
    sol = run!(integrator, until_stiff)
    if SciMLBase.successful_retcode(sol)
        write_values!(ys, lane.equation, sol, t)
        lane.integrator[] = integrator
    end
    return (string(sol.retcode), Float64(integrator.t), counts(sol.stats)...)
end

"""About how many bytes a solution has."""
function kept_bytes(solved::Solved{E, S, T}, n, sensealg) where {E, S, T}
    vectors = needs_dense(sensealg) ? VECTORS_A_STEP * max(solved.accepted, 0) : length(solved.t)
    return vectors * (n * sizeof(T) + BYTES_BESIDE)
end

"""Evaluations, Jacobians, steps taken and steps rejected, of all trajectories together."""
totals(ensemble::SolvedEnsemble) = Tuple(sum(report[i] for report in ensemble.reports) for i in 3:6)

"""The first trajectory that ended early, counted from 0, its return code and the time it reached; or nothing."""
early_end(ensemble::SolvedEnsemble, good) = early_end(ensemble.reports, good)

function early_end(reports::Vector{<:Tuple}, good)
    k = findfirst(report -> !(report[1] in good), reports)
    return k === nothing ? nothing : (k - 1, reports[k][1], reports[k][2])
end

"""
Solve `count` trajectories from the states at `y0s`, and write their values at the times to the memory at `ys`, one
trajectory after another; see `solve_equation`. `notify` is a C function that is told how many are done; what
is not 0 ends them all.
"""
function solve_ensemble(
        pointers, env, env_size, work_size, memory_size, moving, type, y0s, n, count, np, times, nt, ys, alg,
        abstol, reltol, control, sensealg, notify
    )
    bytes = sizeof(float_type(type))
    template = copy(array(Int, env, env_size))
    addresses, shifts = map(UInt, Tuple(pointers)), NTuple{3, Int}[Tuple(shift) for shift in moving]
    lanes = Lane[Lane(addresses, template, work_size, memory_size, shifts, type, n, share) for share in shares(count)]
    reports, solved = Vector{Report}(undef, count), Vector{Any}(nothing, count)
    t = copy(array(Float64, times, nt))
    if sensealg === nothing && begins_anew(alg, control)
        solve_anew!(reports, lanes, float_type(type), y0s, n, t, ys, alg, abstol, reltol, control, notify)
        return SolvedEnsemble(lanes, reports, solved, nothing)
    end
    states = copy(array(UInt8, y0s, count * n * bytes)) # which `again` needs later, as it does `t`
    one(lane, k, ys) = GC.@preserve t states solve_equation(
        lane.equation, type, UInt(pointer(states, (k - 1) * n * bytes + 1)), n, np, UInt(pointer(t)), nt, ys, alg,
        abstol, reltol, control, sensealg, false
    )
    function again(lane, k)
        values = Vector{UInt8}(undef, n * nt * bytes)
        return GC.@preserve values one(lane, k, UInt(pointer(values)))
    end
    left = Threads.Atomic{Int}(MOST_KEPT)
    each_trajectory(lanes, notify) do lane, k
        found = or_stiff(() -> one(lane, k, ys + (k - 1) * n * nt * bytes))
        reports[k] = report(found)
        if found isa Solved && sensealg !== nothing && Threads.atomic_sub!(left, kept_bytes(found, n, sensealg)) > 0
            solved[k] = found
        end
    end
    return SolvedEnsemble(lanes, reports, solved, again)
end

function solve_anew!(reports, lanes, ::Type{T}, y0s, n, t, ys, alg, abstol, reltol, control, notify) where {T}
    u0s, columns = array(T, y0s, n, length(reports)), array(T, ys, n, length(t), length(reports))
    tolerances = (; abstol = tolerance(T, abstol), reltol = tolerance(T, reltol))
    each_trajectory(lanes, notify) do lane, k
        reports[k] = quietly() do
            report(or_stiff(() -> next_report!(lane, u0s[:, k], t, alg, view(columns, :, :, k); tolerances..., control)))
        end
    end
    return nothing
end

"""Write the gradients of each trajectory; see `pull_back`. Returns how the backward solves ended."""
function pull_back_ensemble(
        ensemble, type, grads, dy0s, n, nt, dps, np, alg, sensealg, abstol, reltol, control, notify
    )
    bytes = sizeof(float_type(type))
    joint = Int(joint_products(sensealg) && np > 0)
    ended = Vector{PulledBack}(undef, length(ensemble.solved))
    each_trajectory(ensemble.lanes, notify) do lane, k
        found = @something ensemble.solved[k] ensemble.again(lane, k)
        lane.env[Kernels.JOINT] = joint
        ended[k] = pull_back(
            found, grads + (k - 1) * n * nt * bytes, dy0s + (k - 1) * n * bytes, n,
            dps + (k - 1) * np * bytes, alg, sensealg, abstol, reltol, control
        )
    end
    return ended
end

"""Call `work(lane, k)` for every trajectory `k`, the lanes side by side on threads."""
function each_trajectory(work, lanes, notify)
    STOPPING[] = false
    done, next = Threads.Atomic{Int}(0), Threads.Atomic{Int}(1)
    take_lanes(after) = Kernels.with_single_threads() do
        while (number = Threads.atomic_add!(next, 1)) <= length(lanes)
            share(work, lanes[number], done, after)
        end
    end
    tell() = tell_or_stop(notify, done[])
    blas_threads = BLAS.get_num_threads()
    BLAS.set_num_threads(1)
    try
        Threads.threadid() == 1 ? on_all_threads(take_lanes, tell) : beside_the_first_thread(take_lanes, tell)
    finally
        BLAS.set_num_threads(blas_threads)
    end
    return nothing
end

"""Tell how many are done; what is not 0 in answer ends them all."""
function tell_or_stop(notify, count)
    address = pointer_at(notify)
    iszero(outside(() -> ccall(address, Cint, (Int,), count))) || (STOPPING[] = true)
    return nothing
end

const SECONDS_UNTOLD = 0.1
const SECONDS_UNYIELDED = 0.005 # to the task that tells; a yield takes as long as some solves, and other threads' turn

"""What calls `work` if that was not done for some seconds."""
function now_and_then(work, seconds)
    last = Ref(time())
    return () -> time() - last[] < seconds || (work(); last[] = time(); nothing)
end

function on_all_threads(take_lanes, tell)
    tasks = [Threads.@spawn take_lanes(now_and_then(yield, SECONDS_UNYIELDED)) for _ in 1:Threads.nthreads()]
    while timedwait(() -> all(istaskdone, tasks), SECONDS_UNTOLD; pollint = 0.001) === :timed_out
        tell()
    end
    return foreach(fetch, tasks)
end

"""
The same for a thread that Julia did not start. It waits for nothing of Julia's, since timers and tasks for the first
thread need that one, which runs Python's code; so it takes lanes itself, beside the other threads.
"""
function beside_the_first_thread(take_lanes, tell)
    tasks = [Threads.@spawn take_lanes(Returns(nothing)) for _ in 2:Threads.nthreads()]
    tell_now_and_then = now_and_then(tell, SECONDS_UNTOLD)
    try
        take_lanes(tell_now_and_then)
    catch
        STOPPING[] = true
        rethrow()
    finally
        while !all(istaskdone, tasks)
            outside(() -> Libc.systemsleep(0.001))
            tell_now_and_then()
        end
    end
    return foreach(fetch, tasks)
end

function share(work, lane, done, after)
    for k in lane.trajectories
        STOPPING[] && throw(CallbackError())
        work(turn_to!(lane, k), k)
        Threads.atomic_add!(done, 1)
        after()
    end
    return nothing
end

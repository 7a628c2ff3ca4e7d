# Many solves of one equation on Julia's threads. Its functions are compiled, so no thread needs Python.

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

"""The product with no parameters, as a C function."""
no_product(out::Ptr{Cvoid}, v::Ptr{Cvoid}, u::Ptr{Cvoid}, t::Cdouble, env::Ptr{Cvoid})::Cint = 0

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

"""`pointers` are of compiled functions, or 0 for what is not asked for; `mass` is the address of a matrix, or 0."""
function Lane(pointers, env::Vector{Int}, work_size, memory_size, moving, type, n, mass, trajectories)
    work, memory, own = zeros(UInt8, work_size), zeros(UInt8, memory_size), copy(env)
    own[Kernels.TICK] = Int(@cfunction(stopping, Cint, (Cdouble,)))
    own[Kernels.WORK], own[Kernels.MEMORY] = Int(pointer(work)), Int(pointer(memory))
    equation = ordinary_equation(pointers, map(_ -> UInt(pointer(own)), pointers), type, n, mass, 0, 0)
    return Lane(equation, own, work, memory, moving, trajectories, Ref{Any}(nothing))
end

"""Let the compiled functions work for a trajectory, counted from 1."""
function turn_to!(lane::Lane, trajectory)
    for (place, first, step) in lane.moving
        lane.env[place] = first + (trajectory - 1) * step
    end
    lane.env[Kernels.LEFT] = Kernels.CALLS_A_LOOK
    unsafe_store!(Ptr{Float64}(pointer(lane.memory)), NaN) # a product remembered belongs to another trajectory
    return lane
end

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
        pointers, env, env_size, work_size, memory_size, moving, type, y0s, n, count, np, mass, times, nt, ys, alg,
        abstol, reltol, control, sensealg, notify
    )
    bytes = sizeof(float_type(type))
    template = copy(array(Int, env, env_size))
    rhs, vjp, vjp_p, jacobian = map(UInt, Tuple(pointers))
    iszero(np) && (vjp_p = UInt(@cfunction(no_product, Cint, (Ptr{Cvoid}, Ptr{Cvoid}, Ptr{Cvoid}, Cdouble, Ptr{Cvoid}))))
    shifts = NTuple{3, Int}[Tuple(shift) for shift in moving]
    addresses = rhs, vjp, vjp_p, jacobian
    lanes = Lane[
        Lane(addresses, template, work_size, memory_size, shifts, type, n, mass, share) for share in shares(count)
    ]
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

# Many solves of one equation on Julia's threads. Its functions are compiled, so no thread needs Python.

"""
What was found of each trajectory; what their backward solves need, where it was kept, and else `again(chunk, k)`, which
solves for it; and the chunks that solved them, whose memory these use.
"""
struct SolvedEnsemble{F}
    chunks::Vector{Chunk}
    reports::Vector{Report}
    solved::Vector{Any}
    again::F
end

# Bytes of solutions to keep for backward solves. More would take longer than to solve again: they are many small arrays,
# all of which Julia's garbage collector visits each time.
const MOST_SOLUTION_BYTES = 2^28
const VECTORS_A_STEP = 9 # of a solution between the times: the state and the stages
const BYTES_BESIDE = 64 # of a vector, for itself

"""About how many bytes a solution has."""
function solution_bytes(solved::Solved{E, S, T}, n, sensealg) where {E, S, T}
    vectors = needs_dense(sensealg) ? VECTORS_A_STEP * max(solved.accepted, 0) : length(solved.t)
    return vectors * (n * sizeof(T) + BYTES_BESIDE)
end

"""Evaluations, Jacobians, steps taken and steps rejected, of all trajectories together."""
function totals(ensemble)
    nfe, njac, accepted, rejected = (sum(report[i] for report in ensemble.reports) for i in 3:6)
    called = sum(chunk.env[Kernels.RHS_CALLS] for chunk in ensemble.chunks)
    return (iszero(nfe) ? called : nfe, njac, accepted, rejected)
end

"""The first trajectory that ended early, counted from 0, its return code and the time it reached; or nothing."""
early_end(ensemble, good) = early_end(ensemble.reports, good)

function early_end(reports::Vector{<:Tuple}, good)
    k = findfirst(report -> !(report[1] in good), reports)
    return k === nothing ? nothing : (k - 1, reports[k][1], reports[k][2])
end

"""
    solve_ensemble(equation, env, env_size, work_size, memory_size, moving, type, y0s, n, first, count, np, times, nt, ys,
        alg, abstol, reltol, control, sensealg, notify)

Solve `count` trajectories from the states at `y0s`, and write their values at the times to the memory at `ys`, one
trajectory after another; see `solve_equation`. `first` is the number of the first, from 0, among all that there are.
`notify` is a C function that is told how many are done; what is not 0 ends them all.
"""
function solve_ensemble(
        equation, env, env_size, work_size, memory_size, moving, type, y0s, n, first, count, np, times, nt, ys, alg,
        abstol, reltol, control, sensealg, notify
    )
    bytes = sizeof(float_type(type))
    chunks = chunks_of(equation, alg, control, np, env, env_size, work_size, memory_size, moving, count)
    reports, solved = Vector{Report}(undef, count), Vector{Any}(nothing, count)
    t = copy(array(Float64, times, nt))
    if sensealg === nothing && can_reinitialise(chunks[1].equation, alg, control)
        solve_by_reinitialising!(reports, chunks, float_type(type), y0s, n, t, ys, alg, abstol, reltol, notify)
        return SolvedEnsemble(chunks, reports, solved, nothing)
    end
    states = copy(array(UInt8, y0s, count * n * bytes)) # which `again` needs later, as it does `t`
    one(chunk, k, ys) = GC.@preserve t states solve_equation(
        of_trajectory(chunk.equation, first + k - 1), type, UInt(pointer(states, (k - 1) * n * bytes + 1)), n, np, UInt(pointer(t)), nt, ys, alg,
        abstol, reltol, chunk.control, sensealg, false
    )
    function again(chunk, k)
        values = Vector{UInt8}(undef, n * nt * bytes)
        return GC.@preserve values one(chunk, k, UInt(pointer(values)))
    end
    left = Threads.Atomic{Int}(MOST_SOLUTION_BYTES)
    each_trajectory(chunks, notify) do chunk, k
        found = or_stiff(() -> one(chunk, k, ys + (k - 1) * n * nt * bytes))
        reports[k] = report(found)
        if found isa Solved && sensealg !== nothing && Threads.atomic_sub!(left, solution_bytes(found, n, sensealg)) > 0
            solved[k] = found
        end
    end
    return SolvedEnsemble(chunks, reports, solved, again)
end

"""Write the gradients of each trajectory; see `pull_back`. Returns how the backward solves ended."""
function pull_back_ensemble(
        ensemble, type, grads, dy0s, n, nt, dps, np, alg, sensealg, abstol, reltol, control, notify
    )
    bytes = sizeof(float_type(type))
    joint = Int(joint_products(sensealg) && np > 0)
    ended = Vector{PulledBack}(undef, length(ensemble.solved))
    each_trajectory(ensemble.chunks, notify) do chunk, k
        found = @something ensemble.solved[k] ensemble.again(chunk, k)
        chunk.env[Kernels.JOINT] = joint
        ended[k] = pull_back(
            found, grads + (k - 1) * n * nt * bytes, dy0s + (k - 1) * n * bytes, n,
            dps + (k - 1) * np * bytes, alg, sensealg, abstol, reltol, control
        )
    end
    return ended
end

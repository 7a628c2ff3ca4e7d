# Many solves from event to event.

"""What happened in each trajectory, how it ended, and the chunks that solved them."""
struct FollowedEnsemble{T}
    chunks::Vector{Chunk}
    followed::Vector{Followed{T}}
    reports::Vector{Report}
end

"""
Solve `count` trajectories from event to event; see `follow`. Of what else an ensemble takes nothing applies: there are no
products, and no trajectory has a number.
"""
function solve_ensemble(
        equation::Hybrid, env, env_size, work_size, memory_size, moving, type, y0s, n, first, count, np, times, nt, ys,
        alg, abstol, reltol, control, sensealg, notify
    )
    T = float_type(type)
    chunks = chunks_of(equation, alg, control, np, env, env_size, work_size, memory_size, moving, count)
    u0s, t, bytes = copy(array(T, y0s, n, count)), copy(array(Float64, times, nt)), n * nt * sizeof(T)
    tolerances = (; abstol = tolerance(T, abstol), reltol = tolerance(T, reltol))
    followed, reports = Vector{Followed{T}}(undef, count), Vector{Report}(undef, count)
    each_trajectory(chunks, notify) do chunk, k
        values = array(T, ys + (k - 1) * bytes, n, nt)
        followed[k], reports[k] = follow_from(chunk.equation, u0s[:, k], t, values, 0, alg; tolerances..., chunk.control)
    end
    return FollowedEnsemble{T}(chunks, followed, reports)
end

"""Write for each trajectory how many events happened, and whether its last one ended it; returns how many did in all."""
function write_counts(ensemble::FollowedEnsemble, events, stopped)
    (; followed, reports) = ensemble
    count = length(followed)
    copyto!(array(Int, events, count), [length(one.indices) for one in followed])
    copyto!(array(Int, stopped, count), [report[1] == "Terminated" for report in reports])
    return sum(length(one.indices) for one in followed)
end

"""Write what has happened, trajectory after trajectory; see `write_events` of one."""
function write_events(ensemble::FollowedEnsemble{T}, times, indices, by_time, states) where {T}
    done = 0
    for one in ensemble.followed
        write_events(
            one, times + done * sizeof(Float64), indices + done * sizeof(Int), by_time + done * sizeof(Int),
            states + done * 3 * length(one.watch.u) * sizeof(T)
        )
        done += length(one.indices)
    end
    return nothing
end

"""Write the conditions of a trajectory, counted from 0, as they were evaluated last."""
write_conditions(ensemble::FollowedEnsemble, number, values) = write_conditions(ensemble.followed[number + 1], values)

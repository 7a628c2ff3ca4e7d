# Steps of an explicit method in little memory: some states are kept, and those between computed again.

"""
    Checkpoints(u, t)

The times of all steps of a solve from `u` at `t`, and the states at every `stride`-th of them. As there get to be many,
every other one is dropped: of N steps, fewer than 2.2 √N states are kept or computed again at a time.
"""
mutable struct Checkpoints{T}
    const t::Vector{Float64}
    const kept::Vector{Vector{T}}
    stride::Int
end

Checkpoints(u::Vector{T}, t) where {T} = Checkpoints{T}([t], [copy(u)], 1)

"""Note a step; as the condition of a callback, which finds that nothing has happened."""
function (checkpoints::Checkpoints)(u, t, integrator)
    (; kept) = checkpoints
    push!(checkpoints.t, t)
    is_at_stride(checkpoints, length(checkpoints.t)) || return false
    push!(kept, copy(u))
    if length(kept) > 2checkpoints.stride
        deleteat!(kept, 2:2:length(kept))
        checkpoints.stride *= 2
    end
    return false
end

is_at_stride(checkpoints::Checkpoints, i) = iszero((i - 1) % checkpoints.stride)

"""`forward` that leaves a solution by checkpoints."""
function forward_by_checkpoints(equation, u0, p, t, alg; keywords...)
    checkpoints = Checkpoints(u0, t[1])
    callback = DiscreteCallback(checkpoints, identity; save_positions = (false, false))
    sol, t_reached = forward(equation, u0, p, t, alg; keywords..., dense = false, callback)
    made = SciMLBase.build_solution(
        sol.prob, sol.alg, checkpoints.t, Recomputed(checkpoints, sol); dense = false, retcode = sol.retcode,
        stats = sol.stats
    )
    return made, t_reached
end

"""
The states at the ends of all steps: one that was not kept is computed again, with those from the checkpoint before it to
the next one, which are held until another is asked for. `first` is the number of that checkpoint among the steps.
"""
mutable struct Recomputed{T, F} <: AbstractVector{Vector{T}}
    const checkpoints::Checkpoints{T}
    const f::F
    const p::Vector{T}
    const perturb::Bool
    const stages::Stages{T}
    const held::Vector{Vector{T}}
    first::Int
end

function Recomputed(checkpoints::Checkpoints{T}, sol) where {T}
    (; f, p) = sol.prob
    stages = Stages(explicit_method(sol.alg), checkpoints.kept[1])
    return Recomputed{T, typeof(f.f)}(checkpoints, f.f, p, perturbs(sol.alg), stages, Vector{T}[], 0)
end

Base.size(states::Recomputed) = size(states.checkpoints.t)

function Base.getindex(states::Recomputed, i::Int)
    (; checkpoints, held) = states
    (; stride, kept) = checkpoints
    number = (i - 1) ÷ stride
    is_at_stride(checkpoints, i) && return kept[number + 1]
    first = number * stride + 1
    states.first == first || compute_again!(states, first)
    return held[i - first]
end

"""Take the steps again from a checkpoint, as far as the next one."""
function compute_again!(states::Recomputed, first)
    (; checkpoints, f, p, perturb, stages, held) = states
    (; t, stride) = checkpoints
    u = states[first]
    empty!(held)
    for step in first:min(first + stride - 2, length(t) - 1)
        stepped = Step(t[step], t[step + 1], perturb)
        evaluate!(stages, f, p, u, stepped)
        u = add_stages!(similar(u), u, stepped.stop - stepped.start, stages.method.tableau.b, stages.k)
        push!(held, u)
    end
    states.first = first
    return nothing
end

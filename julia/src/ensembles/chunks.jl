# Chunks of the trajectories, each with memory of its own for the compiled functions.

"""
The equation with memory of its own, for `trajectories` that are solved one after another: `env` is as the Python half
made it for the first of all, but for the places that are `moving`.
"""
struct Chunk{E <: Equation}
    equation::E
    control::StepControl
    env::Vector{Int}
    work::Vector{UInt8}
    memory::Vector{UInt8}
    moving::Vector{NTuple{3, Int}} # place in env, address for the first trajectory, bytes from one to the next
    trajectories::UnitRange{Int}
    integrator::Ref{Any} # of the trajectory before, where the next one may use it; else nothing
end

"""The form of an equation that `alg` solves, for a chunk of trajectories; its functions give products for `np` parameters."""
function Chunk(equation, alg, control, np, env::Vector{Int}, work_size, memory_size, moving, trajectories)
    work, memory, own = zeros(UInt8, work_size), zeros(UInt8, memory_size), copy(env)
    own[Kernels.TICK] = Int(@cfunction(ensemble_tick, Cint, (Cdouble,)))
    own[Kernels.WORK], own[Kernels.MEMORY] = Int(pointer(work)), Int(pointer(memory))
    own[Kernels.RHS_CALLS] = 0
    place = Workplace(pointer(own), np)
    form = solver_form(relocated(equation, place), alg)
    return Chunk(form, relocated(control, place), own, work, memory, moving, trajectories, Ref{Any}(nothing))
end

"""Let the compiled functions work for a trajectory, counted from 1."""
function turn_to!(chunk::Chunk, trajectory)
    for (place, first, step) in chunk.moving
        chunk.env[place] = first + (trajectory - 1) * step
    end
    chunk.env[Kernels.LEFT] = Kernels.CALLS_A_LOOK
    unsafe_store!(Ptr{Float64}(pointer(chunk.memory)), NaN) # a product remembered belongs to another trajectory
    return chunk
end

const CHUNKS_A_THREAD = 8 # so that threads end at about the same time

"""The numbers from 1 to `count` in ranges, alike in size."""
function chunk_ranges(count)
    parts = min(count, CHUNKS_A_THREAD * Threads.nthreads())
    ends = [count * part ÷ parts for part in 0:parts]
    return [(ends[part] + 1):ends[part + 1] for part in 1:parts]
end

"""The chunks of `count` trajectories; see `Chunk`."""
function chunks_of(equation, alg, control, np, env, env_size, work_size, memory_size, moving, count)
    template = copy(array(Int, env, env_size))
    shifts = NTuple{3, Int}[Tuple(shift) for shift in moving]
    return Chunk[
        Chunk(equation, alg, control, np, template, work_size, memory_size, shifts, range)
            for range in chunk_ranges(count)
    ]
end

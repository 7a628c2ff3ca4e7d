# Adams methods over the derivatives at the starts of the steps so far, as if all steps were of one length.

"""
Weights by order: of Bashforth's methods those of the derivatives at the start and before, of Moulton's also that at the
end, which comes first. The first steps are those of `starter`; from three derivatives before the step's on, the order is
their number, at most `most`. An implicit one corrects up to `max_iters` times.
"""
struct Adams <: Scheme
    starter::Explicit
    bashforth::Vector{Vector{Float64}}
    moulton::Vector{Vector{Float64}}
    implicit::Bool
    most::Int
    max_iters::Int
    order::Int
end

const FEWEST_DERIVATIVES = 3

mutable struct AdamsMemory{U, T}
    const starting::ExplicitMemory{U}
    const past::Vector{U} # derivatives at the starts of steps, the latest first
    const reached::U
    const moved::U
    abstol::Union{T, Vector{T}}
    reltol::Union{T, Vector{T}}
    const used::Vector{Int} # derivatives, by the steps so far
    const corrections::Vector{Int} # by the steps so far
    unconverged::Int # steps
end

function memory(scheme::Adams, u)
    nothing_yet = zero(real_type(eltype(u)))
    return AdamsMemory(
        memory(scheme.starter, u), typeof(u)[], zero(u), zero(u), nothing_yet, nothing_yet, Int[], Int[], 0
    )
end

function begin_anew!(memory::AdamsMemory; abstol, reltol)
    memory.abstol, memory.reltol = abstol, reltol
    foreach(empty!, (memory.past, memory.used, memory.corrections))
    memory.unconverged = 0
    return nothing
end

unconverged(memory::AdamsMemory) = memory.unconverged

function advance!(out, scheme::Adams, memory::AdamsMemory, dynamics, u, step::Step)
    (; past, reached) = memory
    reached == u || empty!(past) # the state was changed, as at a jump
    remember!(memory, scheme, dynamics, u, step)
    push!(memory.used, length(past))
    push!(memory.corrections, 0)
    if length(past) < FEWEST_DERIVATIVES
        copyto!(memory.starting.k[1], past[1])
        advance_from_first!(out, scheme.starter, memory.starting, dynamics, u, step)
    else
        add_stages!(out, u, step.stop - step.start, scheme.bashforth[length(past)], past)
        scheme.implicit && correct!(out, scheme, memory, dynamics, u, step)
    end
    copyto!(reached, out)
    return true
end

"""Add the derivative at the start of a step to those of the past."""
function remember!(memory::AdamsMemory, scheme, dynamics, u, step)
    (; past) = memory
    derivative = length(past) < scheme.most ? zero(u) : pop!(past)
    dynamics(derivative, u, time_at(step, 0, eltype(u)))
    return pushfirst!(past, derivative)
end

"""Correct the state after a step until it changes no more than the tolerances allow."""
function correct!(out, scheme, memory, dynamics, u, step)
    (; past, moved, corrections) = memory
    weights, h, derivative = scheme.moulton[length(past) + 1], step.stop - step.start, similar(u)
    for correction in 1:scheme.max_iters
        corrections[end] = correction
        copyto!(moved, out)
        dynamics(derivative, moved, time_at(step, 1, eltype(u)))
        add_stages!(out, u, h, weights, Iterators.flatten(((derivative,), past)))
        has_converged(memory, u, moved, out) && return nothing
    end
    memory.unconverged += 1
    pop!(past)
    return nothing
end

"""Whether two states after a step from `u` differ by less than the tolerances of the step."""
function has_converged(memory, u, earlier, later)
    (; abstol, reltol) = memory
    return all(eachindex(u)) do i
        size = max(abs(earlier[i] - u[i]), abs(later[i] - u[i]))
        abs(earlier[i] - later[i]) < tolerated(abstol, i) + tolerated(reltol, i) * size
    end
end

tolerated(tolerance::Real, i) = tolerance
tolerated(tolerance, i) = tolerance[i]

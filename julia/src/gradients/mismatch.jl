# What tells whether the state that an adjoint has solved for again, backwards in time, is the solution.

"""
How far the state that a backward solve arrives at is from the solution there, at the time where it is most, in units
of the tolerance: `error` and `size` are largest absolute values.
"""
mutable struct Mismatch{T}
    const times::Vector{Float64}
    const values::Vector{Vector{T}}
    const abstol::T
    const reltol::T
    t::Float64
    error::T
    size::T
end

"""No mismatch yet with a solution at all of its times `t` but the last, where the backward solve starts."""
function Mismatch{T}(sol, t::Vector{Float64}, abstol, reltol) where {T}
    values = Vector{T}[state_at(sol, t, i) for i in 1:(length(t) - 1)]
    return Mismatch{T}(t[1:(end - 1)], values, abstol, reltol, t[1], 0, 0)
end

"""How many tolerances an error is; none is no number of them, where there is no tolerance either."""
excess(found::Mismatch, error, size) = iszero(error) ? error : error / (found.abstol + found.reltol * size)

function (found::Mismatch)(integrator)
    (; u, t) = integrator # the state comes last in it
    return note!(found, t, view(u, (length(u) - length(first(found.values)) + 1):length(u)))
end

"""Note where the state has arrived at a time."""
function note!(found::Mismatch, t, state)
    value = found.values[searchsortedfirst(found.times, t)]
    error, size = maximum(abs, state - value), maximum(abs, value)
    if excess(found, error, size) > excess(found, found.error, found.size)
        found.t, found.error, found.size = t, error, size
    end
    return nothing
end

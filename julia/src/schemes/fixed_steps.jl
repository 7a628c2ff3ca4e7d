# Methods of fixed steps that are given by their numbers: what a step is, whatever takes it.

"""A method by its numbers: `advance!` takes a step by it, in the memory that `memory` makes."""
abstract type Scheme end

"""
A solver that steps by a scheme along given times. Where it is to `perturb`, the dynamics are asked a rounding after the
step's start and before its end for what they are there. Between the steps its values are linear, or Hermite's `cubic`.
"""
struct FixedSteps{S <: Scheme} <: OrdinaryDiffEqCore.OrdinaryDiffEqAlgorithm
    name::String
    scheme::S
    perturb::Bool
    cubic::Bool
end

"""What to call a solver."""
called(alg) = string(nameof(typeof(alg)))
called(alg::FixedSteps) = alg.name

"""A step from `start` to `stop`, which come before or after each other."""
struct Step
    start::Float64
    stop::Float64
    perturb::Bool
end

"""The time at which the dynamics are asked for a stage, as exact as a state of type `T`."""
function time_at(step::Step, c, ::Type{T}) where {T}
    (; start, stop, perturb) = step
    iszero(c) && return perturb ? Float64(towards(stop, real_type(T)(start))) : start
    isone(c) && return perturb ? Float64(towards(start, real_type(T)(stop))) : stop
    return start + c * (stop - start)
end

"""The number next to `t` on the way to another time."""
towards(other, t) = other > t ? nextfloat(t) : prevfloat(t)

real_type(::Type{T}) where {T <: AbstractFloat} = T
real_type(::Type{T}) where {T} = Float64

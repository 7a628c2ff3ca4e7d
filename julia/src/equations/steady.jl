# Steady states, solved for through time.

"""
`0 = f(u, t)` as the end of `u' = f(u, t)`, which is reached where each component's derivative is within `abstol` plus
`reltol` times the largest that it was on the way, at the ends of two steps: one that turns passes through zero.
"""
struct Steady{O <: Ordinary, T, A, R} <: Equation
    ordinary::O
    du::Vector{T}
    abstol::A
    reltol::R
end

problem(equation::Steady, u0, p, tspan) = problem(equation.ordinary, u0, p, tspan)

options(equation::Steady) = (; callback = until(Settled(equation, zero(equation.du), false)), save_end = true)

until(settled) = DiscreteCallback(
    settled, SciMLBase.terminate!; initialize = (_, u, t, integrator) -> settled(u, t, integrator),
    save_positions = (false, false)
)

"""What rounding errors leave of the derivative is taken to be at most so many of them, relative to its largest value."""
const ROUNDINGS = 100

"""
Whether the derivative has become small and stayed so, for which it is remembered how large it was, and whether it was
small one step ago.
"""
mutable struct Settled{E <: Steady, T}
    const equation::E
    const largest::Vector{T}
    was_small::Bool
end

function (settled::Settled)(u, t, integrator)
    (; ordinary, du, abstol, reltol) = settled.equation
    ordinary.f.f(du, u, integrator.p, t)
    settled.largest .= max.(settled.largest, abs.(du))
    was_small, settled.was_small = settled.was_small, all(abs.(du) .<= abstol .+ reltol .* settled.largest)
    return was_small && settled.was_small
end

"""A steady state of an ordinary equation; see `Steady`."""
function steady_equation(ordinary, type, n, abstol, reltol)
    T = float_type(type)
    return Steady(ordinary, zeros(T, n), tolerance(T, abstol), max.(tolerance(T, reltol), ROUNDINGS * eps(T)))
end

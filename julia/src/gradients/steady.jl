# Steady states: solved for through time, differentiated where they are.

"""
`0 = f(u, t)` as the end of `u' = f(u, t)`, which is reached where each component's derivative is within `abstol` plus
`reltol` times the largest that it was on the way.
"""
struct Steady{O <: Ordinary, T, A, R} <: Equation
    ordinary::O
    du::Vector{T}
    abstol::A
    reltol::R
end

problem(equation::Steady, u0, p, tspan) = problem(equation.ordinary, u0, p, tspan)

options(equation::Steady) = (; callback = until(Settled(equation, zero(equation.du))), save_end = true)

until(settled) = DiscreteCallback(
    settled, SciMLBase.terminate!; initialize = (_, u, t, integrator) -> settled(u, t, integrator),
    save_positions = (false, false)
)

function suited(equation::Steady, alg)
    suited(equation.ordinary, alg) # refuses solvers of parts
    return equation
end

"""What rounding errors leave of the derivative is taken to be at most so many of them, relative to its largest value."""
const ROUNDINGS = 100

"""Whether the derivative has become small, for which it is remembered how large it was."""
struct Settled{E <: Steady, T}
    equation::E
    largest::Vector{T}
end

function (settled::Settled)(u, t, integrator)
    (; ordinary, du, abstol, reltol) = settled.equation
    ordinary.f.f(du, u, integrator.p, t)
    settled.largest .= max.(settled.largest, abs.(du))
    return all(abs.(du) .<= abstol .+ reltol .* settled.largest)
end

function forward_algorithm(::Steady, alg, sensealg, control)
    has_fixed_steps(control, alg) && control.dt === nothing && throw(
        UnsupportedError(
            "$(nameof(typeof(alg))) takes fixed steps, and the way to a steady state has no length to divide: give " *
                "options={'dt': ...}."
        )
    )
    return alg
end

backward_algorithm(::Steady, alg, ::SteadyStateAdjoint) = alg

backward_algorithm(equation, alg, ::SteadyStateAdjoint) = throw(
    UnsupportedError("SteadyStateAdjoint is that of pyode_bridge.steady_state, and this is a solve over time.")
)

"""A function of the dynamics at one time, whatever time it is given: SciMLSensitivity gives `nothing`."""
struct AtTime{F}
    f::F
    t::Float64
end

(at::AtTime)(args...) = at.f(Base.front(args)..., at.t)

"""`backward!` of a steady state, on which the initial state has no influence."""
function backward!(
        dy0::Vector{T}, dp::Vector{T}, sol, grads::Matrix{T}, t::Vector{Float64}, alg, sensealg::SteadyStateAdjoint;
        abstol, reltol, control::StepControl
    ) where {T}
    copyto!(dy0, view(grads, :, 1))
    isempty(dp) && return nothing
    (; f, p) = sol.prob
    at(part) = AtTime(part, Float64(sol.t[end]))
    still = ODEFunction{true, SciMLBase.FullSpecialize}(at(f.f); jac = at(f.jac), vjp = at(f.vjp), vjp_p = at(f.vjp_p))
    check_regular(still, sol.u[end], p)
    # For a Rosenbrock method, or none, SciMLSensitivity 7.112 asks for the Jacobian in a cache of dual numbers.
    named = Tsit5()
    steady = SciMLBase.build_solution(
        SteadyStateProblem(still, sol.u[end], p), named, sol.u[end], zero(sol.u[end]);
        retcode = SciMLBase.ReturnCode.Success
    )
    loss(out, u, p, t, i) = copyto!(out, view(grads, :, 2))
    copyto!(dp, SciMLSensitivity._adjoint_sensitivities(steady, sensealg, named; dgdu = loss))
    return nothing
end

"""Throw where no implicit function says how the steady state depends on the parameters."""
function check_regular(f, u::Vector{T}, p) where {T}
    J = zeros(T, length(u), length(u))
    f.jac(J, u, p, nothing)
    inv(cond(J, 1)) > eps(T) || throw(
        UnsupportedError(
            "The Jacobian is singular at the steady state, so that this is not the only one near there and has no " *
                "gradient: where something is conserved, put its value into the dynamics in place of a component."
        )
    )
    return nothing
end

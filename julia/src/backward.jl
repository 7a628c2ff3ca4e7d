# The backward solve: SciMLSensitivity's adjoint, called directly.

"""Gradients of the loss with respect to the values at all times but the first, as SciMLSensitivity asks for them."""
struct LossGradients{T}
    grads::Matrix{T}
end

(loss::LossGradients)(out, u, p, t, i) = copyto!(out, view(loss.grads, :, i + 1))

"""
    backward!(dy0, dp, sol, grads, t, alg, sensealg; abstol, reltol, control)

Pull loss gradients `grads[:, i]` with respect to the values at `t[i]` back to `dy0` and `dp`. Returns a `Mismatch`, or
nothing where the state was not solved for again.

The gradient at `t[1]` belongs to the initial state as it stands and is added outside the adjoint solve.
"""
function backward!(
        dy0::Vector{T}, dp::Vector{T}, sol, grads::Matrix{T}, t::Vector{Float64}, alg, sensealg;
        abstol, reltol, control::StepControl
    ) where {T}
    if sensealg isa BacksolveAdjoint && sol.prob isa ODEProblem && sol.prob.f.mass_matrix === I
        return solve_back!(dy0, dp, sol, grads, t, alg, sensealg; abstol, reltol, control)
    end
    du0, dp_row = quietly() do
        adjoint_sensitivities(
            sol, sol.prob isa ODEProblem ? Watched(alg) : alg;
            t = t[2:end], dgdu_discrete = LossGradients(grads), sensealg, abstol, reltol,
            initialization(sol.prob.f.mass_matrix)..., backward_options(control, alg, t)...
        )
    end
    dy0 .= by_state(sol.prob.f.mass_matrix, vec(du0)) .+ view(grads, :, 1)
    isempty(dp) || (dp .= vec(dp_row))
    return nothing
end

"""
The gradient with respect to the state from the adjoint variable `λ` of `M u' = f`, which is what SciMLSensitivity gives
for that with respect to the initial state: `Mᵀ λ`.
"""
by_state(::UniformScaling, λ) = λ
by_state(mass_matrix, λ) = mass_matrix' * λ

"""The algebraic components of the adjoint variable follow from the others: at first, and after every time of the loss."""
initialization(::UniformScaling) = (;)
initialization(mass_matrix) = (; initializealg = OrdinaryDiffEqCore.BrownFullBasicInit())

"""`BacksolveAdjoint` as `adjoint_sensitivities` runs it, with a look at the state before a checkpoint restores it."""
function solve_back!(dy0::Vector{T}, dp, sol, grads, t, alg, sensealg; abstol, reltol, control) where {T}
    found = Mismatch{T}(sol, t, abstol, reltol)
    looking = DiscreteCallback((u, t, integrator) -> insorted(t, found.times), found; save_positions = (false, false))
    back = quietly() do
        made = ODEAdjointProblem(sol, sensealg, alg, t[2:end], LossGradients(grads); abstol, reltol)
        callback = CallbackSet(looking, made.kwargs[:callback])
        SciMLBase.solve(
            ODEProblem(made.f, made.u0, made.tspan, made.p; callback), Watched(alg);
            save_everystep = false, save_start = false, saveat = Float64[],
            tstops = sensealg.checkpointing ? sol.t : Float64[], abstol, reltol, backward_options(control, alg, t)...
        )
    end
    n = length(dy0)
    last = back.u[end]
    dy0 .= view(last, 1:n) .+ view(grads, :, 1)
    dp .= view(last, (n + 1):(n + length(dp)))
    return found
end

function backward_options(control::StepControl, alg, t::Vector{Float64})
    options = solve_options(control, alg, t)
    delete!(options, :tstops) # the adjoint stops at the times of the loss by itself
    return options
end

"""
The forward solution for the adjoint. That of an equation in parts becomes one of an ordinary equation, known at the
saved times; adjoints that solve again between them do so by `alg`.
"""
adjoint_solution(solved::Solved{<:Union{Ordinary, Stochastic}}, alg, sensealg) = solved.sol

function adjoint_solution(solved::Solved{E, S, T}, alg, sensealg) where {E, S, T}
    t, equation = solved.t, ordinary(solved.equation)
    flat(u) = flatten!(Vector{T}(undef, length(u)), solved.equation, u)
    us = [flat(state_at(solved.sol, t, i)) for i in eachindex(t)]
    made = problem(equation, us[1], solved.p, (t[1], t[end]))
    return SciMLBase.build_solution(
        made, solves_again(sensealg) ? eager(alg) : alg, t, us; retcode = SciMLBase.ReturnCode.Success
    )
end

# The backward solve: SciMLSensitivity's adjoint, called directly.

"""Gradients of the loss with respect to the values at all times but the first, as SciMLSensitivity asks for them."""
struct LossGradients{T}
    grads::Matrix{T}
end

(loss::LossGradients)(out, u, p, t, i) = copyto!(out, view(loss.grads, :, i + 1))

"""
    backward!(dy0, dp, sol, grads, t, alg, sensealg; abstol, reltol, control)

Pull loss gradients `grads[:, i]` with respect to the values at `t[i]` back to `dy0` and `dp`.

The gradient at `t[1]` belongs to the initial state as it stands and is added outside the adjoint solve.
"""
function backward!(
        dy0::Vector{T}, dp::Vector{T}, sol, grads::Matrix{T}, t::Vector{Float64}, alg, sensealg;
        abstol, reltol, control::StepControl
    ) where {T}
    du0, dp_row = quietly() do
        adjoint_sensitivities(
            sol, alg;
            t = t[2:end], dgdu_discrete = LossGradients(grads), sensealg, abstol, reltol,
            backward_options(control, alg, t)...
        )
    end
    dy0 .= vec(du0) .+ view(grads, :, 1)
    isempty(dp) || (dp .= vec(dp_row))
    return nothing
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

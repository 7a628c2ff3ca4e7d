# The backward solve: SciMLSensitivity's adjoint, called directly.
#
# It is called below its public function `adjoint_sensitivities`, here and for steady states. That one also compiles the
# automatic choice of vector-Jacobian products, which the bridge never uses, with types of ReverseDiff: this takes seconds
# in each session, and a package image that holds these ends the process when it is loaded, at times
# (JuliaLang/julia#62047).

"""Gradients of the loss with respect to the values at all times but the first, as SciMLSensitivity asks for them."""
struct LossGradients{T}
    grads::Matrix{T}
end

(loss::LossGradients)(out, u, p, t, i) = copyto!(out, view(loss.grads, :, i + 1))

function backward!(
        dy0::Vector{T}, dp::Vector{T}, sol, grads::Matrix{T}, t::Vector{Float64}, alg, sensealg;
        abstol, reltol, control::StepControl
    ) where {T}
    if sensealg isa BacksolveAdjoint && sol.prob isa ODEProblem && sol.prob.f.mass_matrix === I
        alg isa FixedSteps && return step_all_back!(dy0, dp, sol, grads, t, alg; abstol, reltol, control)
        return solve_back!(dy0, dp, sol, grads, t, alg, sensealg; abstol, reltol, control)
    end
    du0, dp_row = quietly() do
        SciMLSensitivity._adjoint_sensitivities(
            sol, sensealg, sol.prob isa ODEProblem ? CheckedAlgorithm(alg, control.listeners) : alg;
            t = t[2:end], dgdu_discrete = LossGradients(grads), abstol, reltol,
            initialization(sol.prob.f.mass_matrix)..., backward_options(control, alg, t, checkpoints(sol, sensealg))...
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

"""
What the backward solve is told of its steps. It stops at the times of the loss by itself; where there are other stops,
those at the `checkpoints` of the forward solve are among them.
"""
function backward_options(control::StepControl, alg, t::Vector{Float64}, checkpoints = Float64[])
    options = solve_options(control, alg, t)
    stops = vcat(control.grid, control.tstops)
    isempty(stops) ? delete!(options, :tstops) : (options[:tstops] = vcat(stops, checkpoints))
    haskey(options, :d_discontinuities) && (options[:d_discontinuities] = jumps_backwards(options[:d_discontinuities]))
    return options
end

"""The times at which an adjoint goes on from what the forward solve has there."""
checkpoints(sol, sensealg) =
    solves_again(sensealg) || !(sol.prob isa ODEProblem) || restores(sensealg) ? convert(Vector{Float64}, sol.t) : Float64[]

restores(sensealg) = sensealg isa BacksolveAdjoint && sensealg.checkpointing

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
    factor = loss_factor(sensealg, grads, abstol, reltol)
    loss = LossGradients(isone(factor) ? grads : T(factor) .* grads)
    du0, dp_row = quietly() do
        SciMLSensitivity._adjoint_sensitivities(
            sol, sensealg, sol.prob isa ODEProblem ? Watched(alg) : alg;
            t = t[2:end], dgdu_discrete = loss, abstol = factor * abstol, reltol,
            initialization(sol.prob.f.mass_matrix)..., backward_options(control, alg, t)...
        )
    end
    dy0 .= by_state(sol.prob.f.mass_matrix, vec(du0)) ./ factor .+ view(grads, :, 1)
    isempty(dp) || (dp .= vec(dp_row) ./ factor)
    return nothing
end

"""
    loss_factor(sensealg, grads, abstol, reltol)

A number to multiply the loss by, to which its gradients are proportional. `GaussKronrodAdjoint` has an absolute
tolerance of its own for its quadrature in each step, whatever the solve's: 1e-7 in DiffEqCallbacks 4. So it gets a loss
for which that is right, but never one finer than its numbers, which would have it halve steps without end.
"""
loss_factor(sensealg, grads, abstol, reltol) = 1

function loss_factor(::GaussKronrodAdjoint, grads::Matrix{T}, abstol, reltol) where {T}
    size = maximum(abs, grads)
    tolerance = max(abstol + reltol * size, SAFE_ROUNDINGS * eps(T) * size)
    return 0 < tolerance < Inf ? KRONROD_TOLERANCE / tolerance : 1
end

const KRONROD_TOLERANCE = 1.0e-7
const SAFE_ROUNDINGS = 1.0e3

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
adjoint_solution(solved::Solved{<:Union{Ordinary, Stochastic, Steady}}, alg, sensealg) =
    solves_again(sensealg) ? in_own_type(solved.sol) : solved.sol

function adjoint_solution(solved::Solved{E, S, T}, alg, sensealg) where {E, S, T}
    t, equation = solved.t, ordinary(solved.equation)
    flat(u) = flatten!(Vector{T}(undef, length(u)), solved.equation, u)
    us = [flat(state_at(solved.sol, t, i)) for i in eachindex(t)]
    made = problem(equation, us[1], solved.p, (t[1], t[end]))
    solution = SciMLBase.build_solution(
        made, solves_again(sensealg) ? eager(alg) : alg, t, us; retcode = SciMLBase.ReturnCode.Success
    )
    return solves_again(sensealg) ? in_own_type(solution) : solution
end

"""
An interpolation whose values are numbers of type `T`. Others have the type of the times where that is the finer one;
an adjoint of SciMLSensitivity 7.112 that solves again starts with such a value and goes on with the state's type, which
it cannot.
"""
struct InOwnType{T, I <: SciMLBase.AbstractDiffEqInterpolation} <: SciMLBase.AbstractDiffEqInterpolation
    interp::I
end

(own::InOwnType{T})(t::Number, options...) where {T} = convert(Vector{T}, own.interp(t, options...))
(own::InOwnType)(out, t::Number, options...) = own.interp(out, t, options...)

"""A solution like `sol` whose values between the saved times have the type of those at them."""
function in_own_type(sol)
    T = eltype(eltype(sol.u))
    T === eltype(sol.t) && return sol
    interp = InOwnType{T, typeof(sol.interp)}(sol.interp)
    return SciMLBase.build_solution(
        sol.prob, sol.alg, sol.t, sol.u; interp, dense = sol.dense, retcode = sol.retcode, stats = sol.stats
    )
end

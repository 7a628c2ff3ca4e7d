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
    du0, dp_row = quietly() do
        SciMLSensitivity._adjoint_sensitivities(
            sol, sensealg, sol.prob isa ODEProblem ? Watched(alg) : alg;
            t = t[2:end], dgdu_discrete = LossGradients(grads), abstol, reltol,
            initialization(sol.prob.f.mass_matrix)..., backward_options(control, alg, t)...
        )
    end
    dy0 .= by_state(sol.prob.f.mass_matrix, vec(du0)) .+ view(grads, :, 1)
    isempty(dp) || (dp .= vec(dp_row))
    return nothing
end

"""
`backward!` by an adjoint whose state is the adjoint variable alone: SciMLSensitivity's equation, with the parameters'
gradient by `Quadrature` in place of its own.
"""
function backward!(
        dy0::Vector{T}, dp::Vector{T}, sol, grads::Matrix{T}, t::Vector{Float64}, alg, sensealg::Gauss;
        abstol, reltol, control::StepControl
    ) where {T}
    mass_matrix = sol.prob.f.mass_matrix
    integrand = SciMLSensitivity.GaussIntegrand(sol, sensealg, sol.t)
    quadrature = Quadrature(integrand, sol.t, length(dy0), length(dp), T(abstol), T(reltol))
    summing = isempty(dp) ? () : (integrating(quadrature),)
    back, jumps = quietly() do
        made, at_times, jumps = ODEAdjointProblem(
            sol, sensealg, alg, integrand, nothing, t[2:end], LossGradients(grads), nothing, nothing, nothing, nothing,
            Val(true); abstol, reltol
        )
        f = ODEFunction{true, SciMLBase.FullSpecialize}(
            made.f.f; mass_matrix = made.f.mass_matrix, jac_prototype = made.f.jac_prototype,
            jac = something(made.f.jac, adjoint_jacobian(sol, alg, sensealg), Some(nothing))
        )
        SciMLBase.solve(
            ODEProblem(f, made.u0, made.tspan, made.p), Watched(alg);
            callback = CallbackSet(summing..., at_times), # at a time of the loss, the step that ends there comes first
            save_everystep = false, save_start = false, saveat = Float64[], abstol, reltol,
            tstops = solves_again(sensealg) ? sol.t : Float64[],
            initialization(mass_matrix)..., backward_options(control, alg, t)...
        ), jumps
    end
    dy0 .= by_state(mass_matrix, back.u[end]) .+ view(grads, :, 1)
    isempty(dp) && return nothing
    dp .= quadrature.total
    add_algebraic!(dp, jumps, integrand, sol)
    return nothing
end

"""What the parameters' gradient has from algebraic components, whose adjoint variables jump at the times of the loss."""
function add_algebraic!(dp, jumps, integrand, sol)
    (jumps === nothing || isempty(jumps.Δλas)) && return nothing
    λ, y, product = zero(jumps.λ), zero(sol.u[1]), zero(dp)
    for (jump, t) in jumps.Δλas
        fill!(λ, 0)
        λ[jumps.diffcache.algevar_idxs] .= jump
        sol(y, t)
        sol.prob.f.vjp_p(product, λ, y, integrand.p, t)
        dp .+= product
    end
    return nothing
end

"""The Jacobian of the adjoint variable's equation, `-∂f/∂uᵀ`; for solvers that ask for it."""
struct AdjointJacobian{F, S, T}
    jac::F
    sol::S
    y::Vector{T}
    J::Matrix{T}
end

function (adjoint::AdjointJacobian)(J, λ, p, t)
    adjoint.sol(adjoint.y, t; continuity = :right)
    adjoint.jac(adjoint.J, adjoint.y, p, t)
    J .= .-transpose(adjoint.J)
    return nothing
end

"""Nothing where the solver asks for none, or where the forward solution is not known between its times."""
function adjoint_jacobian(sol, alg, sensealg)
    takes_matrix = is_implicit(alg) && !keeps_no_matrix(alg) && sol.prob.f.jac_prototype === nothing
    takes_matrix && !solves_again(sensealg) || return nothing
    u = sol.u[1]
    return AdjointJacobian(sol.prob.f.jac, sol, zero(u), zeros(eltype(u), length(u), length(u)))
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
The forward solution for the adjoint, which is solved for again where that of the forward solver is poor between its steps:
see `reliable`. That of an equation in parts becomes one of an ordinary equation, known at the saved times; adjoints that
solve again between them do so by `alg`.
"""
adjoint_solution(solved::Solved{<:Union{Stochastic, Steady}}, alg, sensealg; bounds...) = solved.sol

function adjoint_solution(solved::Solved{<:Ordinary}, alg, sensealg; abstol, reltol, control)
    (; sol, t) = solved
    dense = has_fixed_steps(control, sol.alg) ? sol.alg : reliable(sol.alg, length(sol.u[1]))
    solves_again(sensealg) && return in_own_type(sol, dense)
    interpolates(sensealg) && dense !== sol.alg || return sol
    return quietly() do
        again, t_reached = run_to_end(sol.prob, eager(dense); abstol, reltol, solve_options(control, dense, t)...)
        checked(again, t_reached)
    end
end

function adjoint_solution(solved::Solved{E, S, T}, alg, sensealg; bounds...) where {E, S, T}
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
(own::InOwnType)(out::AbstractArray, t::Number, options...) = own.interp(out, t, options...)

"""A solution like `sol` whose values between the saved times have the type of those at them, solved again by `alg`."""
function in_own_type(sol, alg = sol.alg)
    T = eltype(eltype(sol.u))
    T === eltype(sol.t) && alg === sol.alg && return sol
    interp = T === eltype(sol.t) ? sol.interp : InOwnType{T, typeof(sol.interp)}(sol.interp)
    return SciMLBase.build_solution(
        sol.prob, eager(alg), sol.t, sol.u; interp, dense = sol.dense, retcode = sol.retcode, stats = sol.stats
    )
end

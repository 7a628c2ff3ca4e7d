# Adjoints whose state is the adjoint variable alone; the parameters' gradient is integrated beside it, by `Quadrature`.

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
    quadrature = Quadrature(ParameterProduct(integrand), sol.t, length(dy0), dp, T(abstol), T(reltol))
    summing = isempty(dp) ? () : (integrating(quadrature),)
    back, jumps = quietly() do
        made, at_times, jumps = ODEAdjointProblem(
            sol, sensealg, alg, integrand, nothing, t[2:end], LossGradients(grads), nothing, nothing, nothing, nothing,
            Val(true); abstol, reltol
        )
        jac = something(made.f.jac, adjoint_jacobian(sol, alg, sensealg), Some(nothing))
        tstops = checkpoints(sol, sensealg)
        of_steps = NamedTuple(backward_options(control, alg, t, tstops))
        callback = CallbackSet(summing..., at_times) # at a time of the loss, the step that ends there comes first
        told = (; abstol, reltol, tstops, initialization(mass_matrix)...)
        solved_back(made, jac, alg, control.listeners, callback, told, of_steps), jumps
    end
    dy0 .= by_state(mass_matrix, back.u[end]) .+ view(grads, :, 1)
    isempty(dp) && return nothing
    map!(-, dp, dp)
    leave!(quadrature)
    add_algebraic!(dp, jumps, integrand, sol)
    return nothing
end

"""The solution at the end of the adjoint's problem; a function of its own, which knows all types."""
function solved_back(made, jac, alg, listeners, callback, told::NamedTuple, of_steps::NamedTuple)
    (; f, mass_matrix, jac_prototype) = made.f
    adjoint = ODEFunction{true, SciMLBase.FullSpecialize}(f; mass_matrix, jac_prototype, jac)
    prob = ODEProblem(adjoint, made.u0, made.tspan, made.p)
    only_end = (; save_everystep = false, save_start = false, saveat = Float64[])
    return completed(run_to_end(prob, alg; listeners, callback, only_end..., told..., of_steps...)...)
end

"""
The product `λᵀ ∂f/∂p` along the forward solution, as SciMLSensitivity's integrand has it, from checkpoints too; with its
own sign: that one goes over all parameters once more at each point, to turn it.
"""
struct ParameterProduct{I <: SciMLSensitivity.GaussIntegrand}
    integrand::I
end

function (product::ParameterProduct)(out, t, λ)
    (; sol, y, p) = product.integrand
    sol(y, t)
    sol.prob.f.vjp_p(out, λ, y, p, t)
    return out
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

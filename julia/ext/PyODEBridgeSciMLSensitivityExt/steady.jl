# The gradient of a steady state, by the implicit function theorem where it is.

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

# Forward sensitivities: derivatives of the state by all parameters, solved for beside it.

"""
`∂f/∂p` row by row, from the parameters' vector-Jacobian product; the columns that follow those of the parameters, which
stand for the initial state, are zero.
"""
struct ParameterJacobian{P <: ParameterVJP, T}
    vjp_p::P
    unit::Vector{T}
    row::Vector{T}
end

function (f::ParameterJacobian)(pJ, u, p, t)
    fill!(pJ, 0)
    isempty(f.row) && return nothing
    for i in axes(pJ, 1)
        fill!(f.unit, 0)
        f.unit[i] = 1
        f.vjp_p(f.row, f.unit, u, p, t)
        copyto!(view(pJ, i, eachindex(f.row)), f.row)
    end
    return nothing
end

"""`backward!` by forward sensitivities; the initial state's are those of further parameters that it alone depends on."""
function backward!(
        dy0::Vector{T}, dp::Vector{T}, sol, grads::Matrix{T}, t::Vector{Float64}, alg, sensealg::ForwardSensitivity;
        abstol, reltol, control::StepControl
    ) where {T}
    (; f, u0) = sol.prob
    n, np = length(dy0), length(dp)
    rhs = ODEFunction{true, SciMLBase.FullSpecialize}(
        f.f; jac = f.jac, paramjac = ParameterJacobian(f.vjp_p, zeros(T, n), zeros(T, np))
    )
    made = ODEForwardSensitivityProblem(rhs, u0, (t[1], t[end]), zeros(T, np + n); sensealg)
    start = [u0; zeros(T, n * np); vec(Matrix{T}(I, n, n))]
    values = values_of(ODEProblem(made.f, start, made.tspan, made.p), alg, t, control; abstol, reltol)
    total = zeros(T, np + n)
    for (u, grad) in zip(values, eachcol(grads))
        total .+= reshape(view(u, (n + 1):length(u)), n, np + n)' * grad
    end
    share_out!(dp, dy0, total)
    return nothing
end

"""Write a gradient by the parameters, then the initial state, into one of each."""
function share_out!(dp, dy0, total)
    copyto!(dp, 1, total, 1, length(dp))
    copyto!(dy0, 1, total, length(dp) + 1, length(dy0))
    return nothing
end

"""The values at `t` of what a forward mode solves for; throws `EndedEarly`."""
function values_of(made, alg, t, control; abstol, reltol)
    sol, t_reached = quietly() do
        run_to_end(
            made, alg; values_at = t[2:(end - 1)], saving_at(t)..., abstol, reltol,
            backward_options(control, alg, t)...
        )
    end
    return completed(sol, t_reached).u
end

# Forward mode through the steps of the solver: the state's derivatives travel as the partials of dual numbers.

"""Marks the dual numbers of `ForwardDiffSensitivity`."""
struct Tangent end

"""
The dynamics on dual numbers of `N` partials, those of the inputs that `columns` says: first the parameters, then the
components of the initial state. Values and Jacobians are those of the C functions, on plain numbers.
"""
struct OnDuals{F <: ODEFunction, P <: ParameterJacobian, T, N}
    f::F
    paramjac::P
    columns::UnitRange{Int}
    u::Vector{T}
    du::Vector{T}
    J::Matrix{T}
    pJ::Matrix{T}
    tangents::Matrix{T}
end

function OnDuals(f, u0::Vector{T}, np, columns) where {T}
    n = length(u0)
    paramjac = ParameterJacobian(f.vjp_p, zeros(T, n), zeros(T, np))
    return OnDuals{typeof(f), typeof(paramjac), T, length(columns)}(
        f, paramjac, columns, zeros(T, n), zeros(T, n), zeros(T, n, n), zeros(T, n, max(np, last(columns))),
        zeros(T, length(columns), n)
    )
end

function (on::OnDuals{F, P, T, N})(du, u, p, t) where {F, P, T, N}
    map!(ForwardDiff.value, on.u, u)
    on.f.f(on.du, on.u, p, t)
    on.f.jac(on.J, on.u, p, t)
    on.paramjac(on.pJ, on.u, p, t)
    transpose!(on.tangents, view(on.pJ, :, on.columns))
    mul!(on.tangents, partials(u), on.J', true, true)
    for i in eachindex(du)
        du[i] = ForwardDiff.Dual{Tangent}(on.du[i], ForwardDiff.Partials(NTuple{N, T}(view(on.tangents, :, i))))
    end
    return nothing
end

"""The partials of dual numbers, a column for each."""
partials(u) = stack(ForwardDiff.partials, u)

maximum_norm(u::ForwardDiff.Dual, t) = max(abs(ForwardDiff.value(u)), maximum(abs, ForwardDiff.partials(u)))

"""How many directions one solve takes along."""
directions(::ForwardDiffSensitivity{chunk}, total) where {chunk} =
    iszero(chunk) ? ForwardDiff.pickchunksize(total) : min(chunk, total)

"""
`backward!` by dual numbers: the solver is run again with them, some directions at a time. Its error estimate has the
partials in it, so that the steps suit these too.
"""
function backward!(
        dy0::Vector{T}, dp::Vector{T}, sol, grads::Matrix{T}, t::Vector{Float64}, alg,
        sensealg::ForwardDiffSensitivity; abstol, reltol, control::StepControl
    ) where {T}
    (; f, u0) = sol.prob
    n, np = length(dy0), length(dp)
    total = zeros(T, np + n)
    N = directions(sensealg, n + np)
    for columns in (first:(first + N - 1) for first in 1:N:(n + np))
        seed(i) = ForwardDiff.Dual{Tangent}(u0[i], ntuple(k -> T(columns[k] == np + i), N))
        made = ODEProblem{true, SciMLBase.FullSpecialize}(
            OnDuals(f, u0, np, columns), map(seed, 1:n), (t[1], t[end]), sol.prob.p
        )
        values = values_of(made, alg, t, control; abstol, reltol)
        found = sum(partials(u) * grad for (u, grad) in zip(values, eachcol(grads)))
        kept = 1:(min(last(columns), n + np) - first(columns) + 1)
        total[columns[kept]] = found[kept]
    end
    share_out!(dp, dy0, total)
    return nothing
end

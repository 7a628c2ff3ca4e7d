# The problems of `problems.py` as a Julia programmer would write them: in place, with preallocated memory.

module HandwrittenKinds

using LinearAlgebra: mul!
using Main.PyODEBridge: MatrixOperator
using OrdinaryDiffEqCore: BrownFullBasicInit, SciMLBase
using .SciMLBase: ContinuousCallback, DAEFunction, DAEProblem, DDEFunction, DDEProblem, EnsembleProblem, EnsembleThreads,
    FullSpecialize, ODEFunction, ODEProblem, SDEFunction, SDEProblem, SecondOrderODEProblem, SplitFunction, SplitODEProblem,
    remake, solve

function henon_heiles_force!(dv, v, q, p, t)
    dv[1] = -q[1] - 2 * q[1] * q[2]
    dv[2] = -q[2] - q[1]^2 + q[2]^2
    return nothing
end

henon_heiles(y0, end_, weights) =
    SecondOrderODEProblem{true}(henon_heiles_force!, y0[3:4], y0[1:2], (0.0, end_))

function diffusion!(du, u, p, t)
    n = length(u)
    scale = 0.1 / (2pi / n)^2
    @inbounds for i in 1:n
        left, right = u[i == 1 ? n : i - 1], u[i == n ? 1 : i + 1]
        du[i] = scale * (left - 2 * u[i] + right)
    end
    return nothing
end

function diffusion_jacobian!(J, u, p, t)
    n = length(u)
    scale = 0.1 / (2pi / n)^2
    fill!(J, 0)
    @inbounds for i in 1:n
        J[i, i == 1 ? n : i - 1] = scale
        J[i, i] = -2 * scale
        J[i, i == n ? 1 : i + 1] = scale
    end
    return nothing
end

function advection!(du, u, p, t)
    n = length(u)
    scale = 1 / (4pi / n)
    @inbounds for i in 1:n
        du[i] = -u[i] * (u[i == n ? 1 : i + 1] - u[i == 1 ? n : i - 1]) * scale
    end
    return nothing
end

function advection_diffusion(y0, end_, weights)
    implicit = ODEFunction{true, FullSpecialize}(diffusion!; jac = diffusion_jacobian!)
    return SplitODEProblem(SplitFunction{true}(implicit, advection!), y0, (0.0, end_))
end

function spin_matrix!(A, u, p, t)
    s, c = sincos(t)
    fill!(A, 0)
    A[1, 4], A[2, 3], A[3, 2], A[4, 1] = -c, -c, c, c
    A[1, 3], A[2, 4], A[3, 1], A[4, 2] = -s, s, s, -s
    return nothing
end

driven_spin(y0, end_, weights) = ODEProblem{true, FullSpecialize}(
    MatrixOperator(zeros(4, 4); (update_func!) = spin_matrix!), y0, (0.0, end_)
)

growth!(du, u, p, t) = (du .= 0.1 .* u; nothing)
spread!(du, u, p, t) = (du .= 0.3 .* u; nothing)

function noisy(drift, diffusion, y0, end_)
    f = SDEFunction{true, FullSpecialize}(drift, diffusion)
    return SDEProblem(f, y0, (0.0, end_); seed = UInt64(2))
end

brownian(y0, end_, weights) = noisy(growth!, spread!, y0, end_)

struct Network
    w1::Matrix{Float64}
    b1::Vector{Float64}
    w2::Matrix{Float64}
    b2::Vector{Float64}
    hidden::Matrix{Float64}
    scale::Float64
end

function (net::Network)(du, u, p, t)
    mul!(net.hidden, net.w1, u)
    net.hidden .= tanh.(net.hidden .+ net.b1)
    mul!(du, net.w2, net.hidden)
    du .= net.scale .* (du .+ net.b2)
    return nothing
end

network(w, batch, scale) = Network(w[1], w[2], w[3], w[4], zeros(length(w[2]), batch), scale)

function neural_noise(y0, end_, weights)
    drift, spread = network(weights[1:4], size(y0, 2), 1.0), network(weights[5:8], size(y0, 2), 0.1)
    return noisy(drift, spread, y0, end_)
end

# The density matrix is torch's transposed, as are the products.
function density!(du, u, p, t)
    up = 0.5 * cis(2 * t)
    a, b, c, d = u[1, 1], u[2, 1], u[1, 2], u[2, 2] # [a b; c d] in torch
    du[1, 1] = -1im * (conj(up) * c - b * up) + 0.3 * d
    du[2, 1] = -1im * (conj(up) * d - a * conj(up)) - 0.15 * b
    du[1, 2] = -1im * (up * a - d * up) - 0.15 * c
    du[2, 2] = -1im * (up * b - c * conj(up)) - 0.3 * d
    return nothing
end

lindblad(y0, end_, weights) = ODEProblem{true, FullSpecialize}(density!, y0, (0.0, end_))

function cells!(du, u, h, p, t)
    past = h(p, t - 17.0; idxs = 1)
    du[1] = 0.2 * past / (1 + past^10) - 0.1 * u[1]
    return nothing
end

struct Constant
    y0::Vector{Float64}
end

(h::Constant)(p, t; idxs = nothing) = idxs === nothing ? copy(h.y0) : h.y0[idxs]
(h::Constant)(out, p, t; idxs = nothing) = copyto!(out, h.y0)

mackey_glass(y0, end_, weights) =
    DDEProblem(DDEFunction{true, FullSpecialize}(cells!), y0, Constant(copy(y0)), (0.0, end_); constant_lags = [17.0])

function reaction!(out, du, u, p, t)
    slow, fast = 0.04 * u[1] - 1.0e4 * u[2] * u[3], 3.0e7 * u[2]^2
    out[1], out[2], out[3] = -slow - du[1], slow - fast - du[2], u[1] + u[2] + u[3] - 1
    return nothing
end

function reaction_jacobian!(J, du, u, p, gamma, t)
    a, b, c = 1.0e4 * u[3], 1.0e4 * u[2], 6.0e7 * u[2]
    J[1, 1], J[1, 2], J[1, 3] = -0.04 - gamma, a, b
    J[2, 1], J[2, 2], J[2, 3] = 0.04, -a - c - gamma, -b
    J[3, 1], J[3, 2], J[3, 3] = 1.0, 1.0, 1.0
    return nothing
end

function robertson(y0, end_, weights)
    f = DAEFunction{true, FullSpecialize}(reaction!; jac = reaction_jacobian!)
    return DAEProblem(f, weights[1], y0, (0.0, end_); differential_vars = [true, true, false])
end

function fall!(du, u, p, t)
    du[1], du[2] = u[2], -9.81
    return nothing
end

function bounce!(integrator)
    integrator.u[2] *= -0.97
    return nothing
end

function bouncing_ball(y0, end_, weights)
    floor = ContinuousCallback((u, t, integrator) -> u[1], nothing, bounce!; save_positions = (false, false))
    return ODEProblem{true, FullSpecialize}(fall!, y0, (0.0, end_); callback = floor)
end

grow!(du, u, p, t) = (du[1] = p * u[1]; nothing)
spread!(du, u, p, t) = (du[1] = 0.3 * u[1]; nothing)

function ensemble_of_paths(y0, end_, weights)
    growth = vec(weights[1])
    first = SDEProblem(SDEFunction{true, FullSpecialize}(grow!, spread!), y0[:, 1], (0.0, end_), growth[1])
    return ensemble(first, (one, i) -> remake(one; u0 = y0[:, i], p = growth[i], seed = UInt64(i)))
end

ensemble_of_delays(y0, end_, weights) =
    ensemble(mackey_glass(y0[:, 1], end_, weights), (one, i) -> remake(one; u0 = y0[:, i], h = Constant(y0[:, i])))

function rebound!(integrator)
    integrator.u[2] *= -integrator.p
    return nothing
end

function ensemble_of_balls(y0, end_, weights)
    kept = vec(weights[1])
    floor = ContinuousCallback((u, t, integrator) -> u[1], nothing, rebound!; save_positions = (false, false))
    first = ODEProblem{true, FullSpecialize}(fall!, y0[:, 1], (0.0, end_), kept[1]; callback = floor)
    return ensemble(first, (one, i) -> remake(one; u0 = y0[:, i], p = kept[i]))
end

ensemble(first, trajectory) =
    EnsembleProblem(first; prob_func = (one, context) -> trajectory(one, context.sim_id), safetycopy = false)

# What solves once, as the solver's package wants it, and returns the values at the end.
function solver(name, y0, end_, weights, alg, reltol, abstol, dt)
    problem = getfield(@__MODULE__, Symbol(name))(transposed(y0), Float64(end_), map(Array, weights))
    control = dt > 0 ? (; dt, adaptive = false) : (; reltol, abstol)
    name == "robertson" && (control = (; control..., initializealg = BrownFullBasicInit()))
    common = (; control..., save_everystep = false, maxiters = 10_000_000)
    problem isa EnsembleProblem || return () -> solve(problem, alg; common...).u[end]
    trajectories = size(y0, 1)
    return () -> reduce(hcat, [one.u[end] for one in solve(problem, alg, EnsembleThreads(); trajectories, common...).u])
end

# As torch has it: positions before velocities.
flat(u) = hasproperty(u, :x) ? vcat(u.x[2], u.x[1]) : vec(u)

transposed(array::AbstractVector) = Array(array)
transposed(array::AbstractMatrix) = Array(permutedims(array))

function seconds(solve_once, calls)
    began = time_ns()
    for _ in 1:calls
        solve_once()
    end
    return (time_ns() - began) / 1.0e9 / calls
end

end

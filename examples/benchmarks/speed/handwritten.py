"""The same problems as a Julia programmer would write them: in place, with preallocated memory, timed inside Julia."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from .cases import Case
from .entry import Entry

SOURCE = r"""
module Handwritten

using LinearAlgebra: mul!
using OrdinaryDiffEqCore: SciMLBase
using OrdinaryDiffEqLowOrderRK: DP5
using OrdinaryDiffEqRosenbrock: Rodas5P
using OrdinaryDiffEqTsit5: Tsit5
using .SciMLBase: EnsembleProblem, EnsembleThreads, FullSpecialize, ODEFunction, ODEProblem, remake, solve

function lotka_volterra!(du, u, p, t)
    product = u[1] * u[2]
    du[1] = 1.5 * u[1] - product
    du[2] = product - 3 * u[2]
    return nothing
end

function lotka_volterra_rates!(du, u, p, t)
    product = u[1] * u[2]
    du[1] = p[1] * u[1] - p[2] * product
    du[2] = p[3] * product - p[4] * u[2]
    return nothing
end

function lorenz!(du, u, p, t)
    du[1] = 10 * (u[2] - u[1])
    du[2] = u[1] * (28 - u[3]) - u[2]
    du[3] = u[1] * u[2] - 8 / 3 * u[3]
    return nothing
end

function rober!(du, u, p, t)
    slow, fast = 0.04 * u[1] - 1e4 * u[2] * u[3], 3e7 * u[2]^2
    du[1], du[2], du[3] = -slow, slow - fast, fast
    return nothing
end

function rober_jacobian!(J, u, p, t)
    a, b, c = 1e4 * u[3], 1e4 * u[2], 6e7 * u[2]
    J[1, 1], J[1, 2], J[1, 3] = -0.04, a, b
    J[2, 1], J[2, 2], J[2, 3] = 0.04, -a - c, -b
    J[3, 1], J[3, 2], J[3, 3] = 0.0, c, 0.0
    return nothing
end

function hires!(du, u, p, t)
    seventh = 280 * u[6] * u[8] - 1.81 * u[7]
    du[1] = -1.71 * u[1] + 0.43 * u[2] + 8.32 * u[3] + 0.0007
    du[2] = 1.71 * u[1] - 8.75 * u[2]
    du[3] = -10.03 * u[3] + 0.43 * u[4] + 0.035 * u[5]
    du[4] = 8.32 * u[2] + 1.71 * u[3] - 1.12 * u[4]
    du[5] = -1.745 * u[5] + 0.43 * (u[6] + u[7])
    du[6] = -280 * u[6] * u[8] + 0.69 * u[4] + 1.71 * u[5] - 0.43 * u[6] + 0.69 * u[7]
    du[7] = seventh
    du[8] = -seventh
    return nothing
end

function brusselator!(du, u, p, t)
    n = length(u) ÷ 2
    coupling = (n + 1)^2 / 50
    @inbounds for i in 1:n
        x, y = u[2i - 1], u[2i]
        x_left, y_left = i == 1 ? (1.0, 3.0) : (u[2i - 3], u[2i - 2])
        x_right, y_right = i == n ? (1.0, 3.0) : (u[2i + 1], u[2i + 2])
        du[2i - 1] = 1 + x^2 * y - 4x + coupling * (x_left - 2x + x_right)
        du[2i] = 3x - x^2 * y + coupling * (y_left - 2y + y_right)
    end
    return nothing
end

function mlp!(du, u, p, t)
    mul!(p.hidden, p.w1, u)
    p.hidden .= tanh.(p.hidden .+ p.b1)
    mul!(du, p.w2, p.hidden)
    du .+= p.b2
    return nothing
end

function spiral!(du, u, p, t)
    p.cubes .= u .^ 3
    mlp!(du, p.cubes, p, t)
    return nothing
end

# A network's state is (size, batch), the transpose of torch's.
function weights(u0, arrays)
    w1, b1, w2, b2 = map(array -> Array{eltype(u0)}(array), arrays)
    return (; w1, b1, w2, b2, hidden = similar(u0, length(b1), size(u0)[2:end]...), cubes = similar(u0))
end

const FUNCTIONS = Dict(
    "lotka_volterra" => lotka_volterra!, "lorenz" => lorenz!, "hires" => hires!, "brusselator" => brusselator!,
    "rober" => ODEFunction{true, FullSpecialize}(rober!; jac = rober_jacobian!), "mlp" => mlp!, "spiral" => spiral!,
)

const ALGORITHMS = Dict("DP5" => DP5(), "Rodas5P" => Rodas5P(), "Tsit5" => Tsit5())

# What solves once and returns the values at the last time.
function solver(name, y0, arrays, times, method, reltol, abstol)
    u0, saveat = Array(transposed(y0)), Vector{Float64}(times)
    p = isempty(arrays) ? nothing : weights(u0, arrays)
    problem = ODEProblem{true, FullSpecialize}(FUNCTIONS[name], u0, (saveat[1], saveat[end]), p)
    alg = ALGORITHMS[method]
    return () -> solve(problem, alg; saveat, reltol, abstol, maxiters = 10_000_000).u[end]
end

function ensemble(y0, rates, times, method, reltol, abstol)
    u0s, ps = Array(transposed(y0)), Array(transposed(rates))
    saveat, tspan = Vector{Float64}(times), (Float64(times[1]), Float64(times[end]))
    first = ODEProblem{true, FullSpecialize}(lotka_volterra_rates!, u0s[:, 1], tspan, ps[:, 1])
    alg = ALGORITHMS[method]
    many = EnsembleProblem(first; prob_func = (one, context) -> one_of(one, u0s, ps, context), safetycopy = false)
    function ends()
        found = solve(many, alg, EnsembleThreads(); trajectories = size(u0s, 2), saveat, reltol, abstol)
        return reduce(hcat, one.u[end] for one in found.u)
    end
    return ends
end

one_of(one, u0s, ps, context) = remake(one; u0 = u0s[:, context.sim_id], p = ps[:, context.sim_id])

transposed(array::AbstractVector) = array
transposed(array::AbstractMatrix) = permutedims(array)

function seconds(solve_once, calls)
    began = time_ns()
    for _ in 1:calls
        solve_once()
    end
    return (time_ns() - began) / 1.0e9 / calls
end

end
"""


@functools.cache
def module() -> Any:
    """Compile the source in the running Julia."""
    from juliacall import Main

    Main.seval(SOURCE.strip())
    return Main.Handwritten


def entry(case: Case) -> Entry:
    julia, times, tolerances = module(), case.t.numpy(), (case.rtol, case.atol)
    arrays = tuple(weight.numpy() for weight in case.weights)  # a list would reach Julia as Python objects
    if case.kind == "ensemble":
        solve = julia.ensemble(case.y0.numpy(), arrays[0], times, case.method, *tolerances)
    else:
        solve = julia.solver(case.side.__name__, case.y0.numpy(), arrays, times, case.method, *tolerances)
    # A state of several dimensions is the transpose of torch's.
    return Entry(case.method, lambda: np.array(solve()).T, lambda calls: julia.seconds(solve, calls))

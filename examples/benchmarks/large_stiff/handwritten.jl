# The Brusselator of `run.py` as a Julia programmer would write it, with the pattern of its Jacobian given by hand.

module HandwrittenBrusselator

using ADTypes: AutoForwardDiff
using Main.PyODEBridge: PyODEBridge
using OrdinaryDiffEqCore: SciMLBase
using SparseArrays: sparse
using .SciMLBase: FullSpecialize, ODEFunction, ODEProblem, remake, solve

struct Brusselator
    n::Int
    hot::Matrix{Float64}
end

function (b::Brusselator)(du, w, p, t)
    n = b.n
    u, v, dudt, dvdt = view(w, :, :, 1), view(w, :, :, 2), view(du, :, :, 1), view(du, :, :, 2)
    growth, feed, spread = p
    diffusion, heat = spread * n^2, 1 / (1 + exp(-20 * (t - 1.1)))
    @inbounds for j in 1:n, i in 1:n
        left, right = i == 1 ? n : i - 1, i == n ? 1 : i + 1
        down, up = j == 1 ? n : j - 1, j == n ? 1 : j + 1
        reaction = u[i, j]^2 * v[i, j]
        dudt[i, j] = feed + reaction - (growth + 1) * u[i, j] + b.hot[i, j] * heat +
            diffusion * (u[left, j] + u[right, j] + u[i, down] + u[i, up] - 4 * u[i, j])
        dvdt[i, j] = growth * u[i, j] - reaction +
            diffusion * (v[left, j] + v[right, j] + v[i, down] + v[i, up] - 4 * v[i, j])
    end
    return nothing
end

function pattern(n)
    rows, columns = Int[], Int[]
    index(i, j, k) = mod1(i, n) + n * (mod1(j, n) - 1) + n^2 * (k - 1)
    for k in 1:2, j in 1:n, i in 1:n
        for (di, dj) in ((0, 0), (1, 0), (-1, 0), (0, 1), (0, -1))
            push!(rows, index(i, j, k))
            push!(columns, index(i + di, j + dj, k))
        end
        push!(rows, index(i, j, k))
        push!(columns, index(i, j, 3 - k))
    end
    return sparse(rows, columns, ones(length(rows)))
end

function solver(method, y0, hot, p, end_, tolerance)
    n = size(hot, 1)
    f = ODEFunction{true, FullSpecialize}(Brusselator(n, hot); jac_prototype = pattern(n))
    problem = ODEProblem(f, reshape(Vector{Float64}(y0), n, n, 2), (0.0, Float64(end_)), Vector{Float64}(p))
    alg = remake(PyODEBridge.algorithm(method, "ODE"); autodiff = AutoForwardDiff())
    return () -> solve(problem, alg; reltol = tolerance, abstol = tolerance, save_everystep = false).u[end]
end

flat(u) = vec(u)

dense(array) = Matrix{Float64}(array)

function seconds(solve_once, calls)
    began = time_ns()
    for _ in 1:calls
        solve_once()
    end
    return (time_ns() - began) / 1.0e9 / calls
end

end

# Training steps as a Julia programmer would write them: SciMLSensitivity's adjoint of a network's solve, with products
# of the network's derivatives by hand, in place, or by Zygote. The parameters are one vector, as the adjoint asks for.

module Gradients

using LinearAlgebra: mul!
using OrdinaryDiffEqCore: SciMLBase
using SciMLSensitivity: GaussAdjoint, ZygoteVJP, adjoint_sensitivities
using Zygote: Zygote
using .SciMLBase: FullSpecialize, ODEFunction, ODEProblem, remake, solve
using ..Handwritten: ALGORITHMS, transposed

const ADJOINT = GaussAdjoint(; autojacvec = ZygoteVJP()) # of which no product is asked where there are some by hand

"""
dy/dt = net(y), or net(y³) if `cubed`, for a batch: where its weights and biases are within a vector, with memory for the
values within.
"""
struct Network{T}
    size::Int
    batch::Int
    hidden::Int
    cubed::Bool
    parts::NTuple{4, UnitRange{Int}}
    input::Matrix{T}
    activations::Matrix{T}
    slopes::Matrix{T}
end

function Network(u0::Matrix{T}, hidden, cubed) where {T}
    n, batch = size(u0)
    counts = (hidden * n, hidden, n * hidden, n)
    parts = map((last, count) -> (last - count + 1):last, cumsum(counts), counts)
    memory = (similar(u0), Matrix{T}(undef, hidden, batch), Matrix{T}(undef, hidden, batch))
    return Network{T}(n, batch, hidden, cubed, parts, memory...)
end

"""The weights and biases within a vector."""
function layers(net, p)
    w1, b1, w2, b2 = map(part -> view(p, part), net.parts)
    return reshape(w1, net.hidden, net.size), b1, reshape(w2, net.size, net.hidden), b2
end

batched(net, u) = reshape(u, net.size, net.batch)

function activate!(net, u, p)
    w1, b1, _, _ = layers(net, p)
    net.cubed ? (net.input .= batched(net, u) .^ 3) : copyto!(net.input, u)
    mul!(net.activations, w1, net.input)
    net.activations .= tanh.(net.activations .+ b1)
    return nothing
end

function slope!(net, du, u, p)
    _, _, w2, b2 = layers(net, p)
    activate!(net, u, p)
    out = batched(net, du)
    mul!(out, w2, net.activations)
    out .+= b2
    return nothing
end

"""The gradient of `λ ⋅ slope` by what goes into the activation function, in `net.slopes`."""
function pull_to_hidden!(net, λ, u, p)
    _, _, w2, _ = layers(net, p)
    activate!(net, u, p)
    mul!(net.slopes, w2', batched(net, λ))
    net.slopes .*= 1 .- net.activations .^ 2
    return nothing
end

function pull_to_state!(net, out, λ, u, p)
    w1, _, _, _ = layers(net, p)
    pull_to_hidden!(net, λ, u, p)
    mul!(batched(net, out), w1', net.slopes)
    net.cubed && (out .*= 3 .* u .^ 2)
    return nothing
end

function pull_to_parameters!(net, out, λ, u, p)
    w1, b1, w2, b2 = layers(net, out)
    pull_to_hidden!(net, λ, u, p)
    mul!(w1, net.slopes, net.input')
    sum!(b1, net.slopes)
    mul!(w2, batched(net, λ), net.activations')
    sum!(b2, batched(net, λ))
    return nothing
end

"""A gradient of the mean square of the values at all times, by products written by hand."""
function by_hand(net, u0, p, times, alg, reltol, abstol)
    f = ODEFunction{true, FullSpecialize}(
        (du, u, p, t) -> slope!(net, du, u, p);
        vjp = (out, λ, u, p, t) -> pull_to_state!(net, out, λ, u, p),
        vjp_p = (out, λ, u, p, t) -> pull_to_parameters!(net, out, λ, u, p)
    )
    problem, later = ODEProblem(f, vec(u0), (times[1], times[end]), p), times[2:end]
    scale = eltype(u0)(2 / (length(times) * length(u0)))
    loss_gradient!(out, u, p, t, i) = (out .= scale .* u; nothing)
    function gradient()
        solution = solve(problem, alg; reltol, abstol)
        return adjoint_sensitivities(
            solution, alg; t = later, dgdu_discrete = loss_gradient!, sensealg = ADJOINT, reltol, abstol
        )[2]
    end
    return gradient
end

"""
The same by Zygote, which wants functions that change no array; time has the state's precision then. Nothing is read from
a structure or a tuple within the dynamics, through which Zygote takes ten times as long.
"""
function by_zygote(net, u0::Matrix{T}, p, times, alg, reltol, abstol) where {T}
    n, hidden, input = net.size, net.hidden, net.cubed ? (u -> u .^ 3) : identity
    in_w1, in_b1, in_w2, in_b2 = net.parts
    function slope(u, p, t)
        w1 = reshape(view(p, in_w1), hidden, n)
        w2 = reshape(view(p, in_w2), n, hidden)
        return w2 * tanh.(w1 * input(u) .+ view(p, in_b1)) .+ view(p, in_b2)
    end
    saveat = T.(times)
    problem = ODEProblem{false, FullSpecialize}(slope, u0, (saveat[1], saveat[end]), p)
    function loss(p)
        values = Array(solve(problem, alg; p, saveat, reltol, abstol, sensealg = ADJOINT))
        return sum(abs2, values) / length(values)
    end
    return () -> Zygote.gradient(loss, p)[1]
end

"""What takes one training step and returns the gradients of the weights and biases."""
function step(by, cubed, y0, arrays, times, method, reltol, abstol)
    u0 = reshape(Array(transposed(y0)), size(y0)[end], :)
    T = eltype(u0)
    net = Network(u0, length(arrays[2]), cubed)
    p = T.(reduce(vcat, map(vec, arrays)))
    gradient = by(net, u0, p, Vector{Float64}(times), ALGORITHMS[method], T(reltol), T(abstol))
    return () -> map(copy, layers(net, vec(gradient())))
end

end

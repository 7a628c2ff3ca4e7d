# The tableau of a step along noise, read off the solver, as `tableau` reads that of an explicit Runge-Kutta method.
#
# A step of such a method evaluates drift and diffusion at states in which the ones before are with weights that depend on
# its length and on its noise. Methods of strong order up to 3/2 (Rössler 2010, "Runge-Kutta methods for the strong
# approximation of solutions of stochastic differential equations") have no others than those of `factors`.

"""Numbers of a step of length `h` that weigh a diffusion there, from the increments of its Wiener process and a second one."""
function factors(h::T, dW, dZ) where {T}
    root = sqrt(h)
    return (root, dW, (dW^2 - h) / (2root), (dW + dZ / sqrt(T(3))) / 2, (dW^3 - 3dW * h) / (6h))
end

const N_FACTORS, OF_SECOND = 5, 4 # so many, of which this one has the second process in it

"""
The evaluations of a step, in their order: whether each is of the diffusion, at which part of the step, and which weights
the ones before have in its state; the last column of `weights` is for the state at the end. A drift's weight, of which the
step's length is the factor, stands first; those of a diffusion are by `factors`. Some methods draw a second process.
"""
struct NoiseTableau
    is_diffusion::Vector{Bool}
    c::Vector{Float64}
    weights::Array{Float64, 3} # by factor, by the evaluation that is in a state, by that state
    has_second::Bool
end

const MOST_EVALUATIONS = 16
const PROBES = 8 # of different noise, which determine the weights and contradict others
const NOISE_TABLEAUS = Dict{Any, Union{Nothing, NoiseTableau}}()

"""That of a solver, or nothing where its steps are no such ones."""
noise_tableau(alg) = @lock PROBING get!(() -> probed_noise_tableau(alg), NOISE_TABLEAUS, alg)

function probed_noise_tableau(alg)
    probes = try
        [noise_probe(alg, seed) for seed in 1:PROBES]
    catch err
        err isa InterruptException && rethrow()
        return nothing # it does not solve this equation, or asks for more than values
    end
    kinds, c = first(probes).is_diffusion, first(probes).c
    all(probe -> probe.is_diffusion == kinds && probe.c ≈ c, probes) || return nothing
    n = length(kinds)
    0 < n <= MOST_EVALUATIONS || return nothing
    weights = zeros(N_FACTORS, n, n + 1)
    (; has_second) = first(probes)
    told = has_second ? (1:N_FACTORS) : setdiff(1:N_FACTORS, OF_SECOND) # apart from each other
    for before in 1:n, later in (before + 1):(n + 1)
        found = [probe.states[later][before] for probe in probes]
        places = kinds[before] ? told : 1:1
        rows = map(probes) do probe
            kinds[before] ? collect(factors(probe.h, probe.dW[before], probe.dZ[before]))[places] : [probe.h]
        end
        matrix = permutedims(reduce(hcat, rows))
        solution = matrix \ found
        matrix * solution ≈ found || return nothing
        weights[places, before, later] .= map(rounded, solution)
    end
    return NoiseTableau(kinds, c, weights, has_second)
end

"""Without what is rounding alone."""
rounded(weight) = abs(weight) < 1.0e-10 ? 0.0 : weight

"""
A step whose evaluation with number `i` returns the `i`-th unit vector, so that the state of a later one, or at the end,
shows with which weight it is in it.
"""
function noise_probe(alg, seed)
    states, times, kinds = Vector{Float64}[], Float64[], Bool[]
    evaluation(is_diffusion) = function (out, u, t)
        push!(states, copy(u))
        push!(times, t)
        push!(kinds, is_diffusion)
        fill!(out, 0)
        length(states) <= MOST_EVALUATIONS && (out[length(states)] = 1)
        return nothing
    end
    h = 1 / 2 + seed / PROBES
    equation = trial_stochastic(evaluation(false), evaluation(true), MOST_EVALUATIONS, seed)
    integrator = start(
        equation, zeros(MOST_EVALUATIONS), Float64[], [0.0, h], alg; abstol = 1.0, reltol = 1.0,
        control = StepControl(; dt = h, adaptive = false)
    )
    foreach(empty!, (states, times, kinds))
    dW = copy(integrator.W.dW)
    has_second = integrator.W.dZ !== nothing
    dZ = has_second ? copy(integrator.W.dZ) : zero(dW)
    SciMLBase.step!(integrator)
    return (; h, dW, dZ, has_second, is_diffusion = kinds, c = times ./ h, states = [states; [copy(integrator.u)]])
end

"""An equation with noise of each component's own, whose functions are Julia's, as `trial_equation`."""
function trial_stochastic(drift, diffusion, n, seed)
    unused = two_vectors(0)
    functions = map((drift, diffusion)) do f
        Differentiable(trial_function(f, n), unused, unused)
    end
    return Stochastic(functions[1], Jacobian(one_vector(0)), functions[2], "diagonal", n, UInt64(seed), true)
end

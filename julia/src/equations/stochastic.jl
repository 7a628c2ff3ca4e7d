# Stochastic differential equations.

"""
A function of the state with its vector-Jacobian products, as C functions: `value(out, u, t)`, `vjp(out, v, u, t)` and
`vjp_p(out, v, u, t)`. A matrix is written column by column. The extension has Zygote differentiate it, as
SciMLSensitivity's stochastic adjoints do.
"""
struct Differentiable
    c_value::CFunction{OneVector}
    c_vjp::CFunction{TwoVectors}
    c_vjp_p::CFunction{TwoVectors}
end

(f::Differentiable)(out, u, p, t) = call!(f.c_value, out, u, t)

"""
`du = drift(u, t) dt + diffusion(u, t) dW`, where `noise` is `"diagonal"` (a Wiener process for each component),
`"scalar"` (one process for all) or `"general"` (the diffusion is a matrix over `processes` processes). A `seed` fixes
the paths, which are kept if `keep_paths`, as the adjoint needs them. `f` is both functions as SciML has them.
"""
struct Stochastic{F <: SDEFunction} <: Equation
    f::F
    drift::Differentiable
    jacobian::Jacobian
    diffusion::Differentiable
    noise::String
    processes::Int
    seed::UInt64
    keep_paths::Bool
end

function Stochastic(drift, jacobian, diffusion, noise, processes, seed, keep_paths)
    f = SDEFunction{true, SciMLBase.FullSpecialize}(drift, diffusion; jac = jacobian)
    return Stochastic(f, drift, jacobian, diffusion, noise, processes, seed, keep_paths)
end

function problem(equation::Stochastic, u0, p, tspan)
    prototype = equation.noise == "general" ? zeros(eltype(u0), length(u0), equation.processes) : nothing
    noise = equation.noise == "scalar" ? wiener_process(tspan[1]) : nothing
    return SDEProblem(equation.f, u0, tspan, p; noise_rate_prototype = prototype, noise, seed = equation.seed)
end

"""Each trajectory of an ensemble has noise of its own: that of the seed behind the one before it."""
function of_trajectory(equation::Stochastic, number)
    (; f, drift, jacobian, diffusion, noise, processes, seed, keep_paths) = equation
    return Stochastic(f, drift, jacobian, diffusion, noise, processes, seed + UInt64(number), keep_paths)
end

"""One Wiener process, and the second one that higher-order solvers use; their package comes with the solvers."""
wiener_process(t) = load_package("StochasticDiffEq").WienerProcess(t, zero(t), zero(t))

options(equation::Stochastic) = (; save_noise = equation.keep_paths)

"""Its solvers count their steps, and at best some of the evaluations."""
counts(::Stochastic, stats) = (0, counts(stats)[2:4]...)

"""A solver draws a line between its steps, of which the variance is too small."""
has_values_between_steps(::Stochastic) = false

"""The version of DiffEqNoiseProcess from which on noise is right after a step is rejected (its pull request 307)."""
const RIGHT_REJECTIONS = v"5.34"

function check_steps(::Stochastic, u0, t, alg, control)
    has_fixed_steps(control, alg) && return nothing
    version = pkgversion(parentmodule(load_package("StochasticDiffEq").WienerProcess))
    version >= RIGHT_REJECTIONS && return nothing
    throw(
        UnsupportedError(
            "DiffEqNoiseProcess $version draws wrong noise after a step that is rejected, so that paths are wrong. Run " *
                "`python -m pyode_bridge install StochasticDiffEq`, which brings $RIGHT_REJECTIONS or newer, or take " *
                "fixed steps: options={'adaptive': False, 'dt': ...}."
        )
    )
end

"""Four functions of the drift, three of the diffusion, each with its environment, and what `Stochastic` says."""
function stochastic_equation(drift, envs, diffusion, noise, processes, seed, keep_paths)
    own, (value, vjp, vjp_p) = callbacks(drift, envs), diffusion
    return Stochastic(
        Differentiable(own.c_rhs, own.c_vjp, own.c_vjp_p), Jacobian(own.c_jacobian),
        Differentiable(one_vector(value...), two_vectors(vjp...), two_vectors(vjp_p...)),
        String(noise), Int(processes), UInt64(seed), keep_paths
    )
end

"""
Gradients of solves by the sensitivity algorithms of SciMLSensitivity, whose equations take the dynamics' vector-Jacobian
products from C functions, and of dynamics written in Julia by Zygote.
"""
module PyODEBridgeSciMLSensitivityExt

using ChainRulesCore: ChainRulesCore
using ForwardDiff: ForwardDiff
using LinearAlgebra: I, UniformScaling, cond, mul!, transpose!
using LinearSolve: LinearSolve
using OrdinaryDiffEqCore: OrdinaryDiffEqCore
using OrdinaryDiffEqTsit5: Tsit5
using PrecompileTools: PrecompileTools, @compile_workload
using PyODEBridge: PyODEBridge, CheckedAlgorithm, Differentiable, Equation, FixedSteps, Mismatch, Ordinary, ParameterVJP,
    Quadrature, Steady, StepControl, Stochastic, UnsupportedError, call!, completed, integrating, is_implicit,
    jumps_backwards, keeps_no_matrix, leave!, poor_between_steps, quietly, run_to_end, saving_at, solve_options, state_at,
    step_all_back!, takes_duals
using PyODEBridge.JuliaDynamics: Returning, add_to!, fill_with!, own
using SciMLBase: SciMLBase, CallbackSet, DiscreteCallback, ODEFunction, ODEProblem, SteadyStateProblem
using SciMLSensitivity: SciMLSensitivity, BacksolveAdjoint, ForwardDiffSensitivity, ForwardSensitivity, GaussAdjoint,
    GaussKronrodAdjoint, InterpolatingAdjoint, ODEAdjointProblem, ODEForwardSensitivityProblem, QuadratureAdjoint,
    SteadyStateAdjoint, ZygoteVJP
using Zygote: Zygote, Buffer

import PyODEBridge: backward!, backward_algorithm, follows_noise, forward_algorithm, interpolates, is_served,
    joint_products, may_mislead, products, solves_again, solves_for_adjoint, takes_jacobian
import PyODEBridge.JuliaDynamics: pull_back!

include("sensealgs.jl")
include("solvers.jl")
include("backward.jl")
include("backsolve.jl")
include("gauss.jl")
include("forward_sensitivity.jl")
include("forward_diff.jl")
include("steady.jl")
include("stochastic.jl")
include("julia_dynamics.jl")

include("precompile.jl")

end

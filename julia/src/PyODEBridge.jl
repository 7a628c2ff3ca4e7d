"""
    PyODEBridge

The Julia half of the Python package pyode_bridge: solves `du/dt = f(u, t)` whose right-hand side and
vector-Jacobian products are C callbacks, by any solver of OrdinaryDiffEq that a string names, and pulls gradients
back through the solve with SciMLSensitivity's adjoints.
"""
module PyODEBridge

using ADTypes: ADTypes, AutoFiniteDiff
using ChainRulesCore: ChainRulesCore
using ForwardDiff: ForwardDiff
using LinearAlgebra: BLAS, I, UniformScaling, cond, mul!, norm, transpose!
using LinearSolve: LinearSolve
using Logging: Logging, AbstractLogger, with_logger
using OrdinaryDiffEqCore: OrdinaryDiffEqCore
using OrdinaryDiffEqLowOrderRK: OrdinaryDiffEqLowOrderRK, DP5
using OrdinaryDiffEqRosenbrock: OrdinaryDiffEqRosenbrock, Rodas5P
using OrdinaryDiffEqTsit5: OrdinaryDiffEqTsit5, Tsit5
using OrdinaryDiffEqVerner: OrdinaryDiffEqVerner, Vern7, Vern9
using PrecompileTools: @compile_workload
using SciMLBase: SciMLBase, CallbackSet, DAEFunction, DAEProblem, DDEFunction, DDEProblem, DiscreteCallback,
    DynamicalODEProblem, ODEFunction, ODEProblem, SDEFunction, SDEProblem, SecondOrderODEProblem, SplitFunction,
    SplitODEProblem, SteadyStateProblem
using SciMLOperators: MatrixOperator
using SciMLSensitivity: SciMLSensitivity, BacksolveAdjoint, ForwardDiffSensitivity, ForwardSensitivity, GaussAdjoint,
    GaussKronrodAdjoint, InterpolatingAdjoint, ODEAdjointProblem, ODEForwardSensitivityProblem, QuadratureAdjoint,
    SteadyStateAdjoint, ZygoteVJP
using SparseArrays: SparseMatrixCSC, nonzeros
using TOML: TOML
using Zygote: Buffer

include("errors.jl")
include("outside.jl")
include("kernels.jl")
include("written.jl")
include("callbacks.jl")
include("compiled.jl")
include("kept.jl")
include("equations.jl")
include("stochastic.jl")
include("delayed.jl")
include("residual.jl")
include("packages.jl")
include("expressions.jl")
include("algorithms.jl")
include("catalogue.jl")
include("control.jl")
include("quadrature.jl")
include("discrete.jl")
include("sensealgs.jl")
include("reliable.jl")
include("stiffness.jl")
include("forward.jl")
include("steady.jl")
include("events.jl")
include("mismatch.jl")
include("watched.jl")
include("boundary.jl")
include("backward.jl")
include("ensembles.jl")
include("sensitivities.jl")
include("tangents.jl")
include("precompile.jl")

end

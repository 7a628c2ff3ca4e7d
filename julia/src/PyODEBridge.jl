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

# What crosses between Python and Julia: C functions, addresses, the dynamics as callbacks.
include("interop/gc_safe.jl")
include("compiled/kernels/kernels.jl")
include("compiled/julia_dynamics.jl")
include("interop/callbacks.jl")

# Dynamics as Julia's machine code: what translated ones call, those written in Julia, and images of them on disk.
include("compiled/functions.jl")
include("compiled/aot_cache.jl")

# Equations of each kind, and the problems of SciML that they stand for.
include("equations/parts.jl")
include("equations/stochastic.jl")
include("equations/delayed.jl")
include("equations/residual.jl")

# Solvers: found by the names that Python gives, with their traits and their options.
include("algorithms/packages.jl")
include("algorithms/expressions.jl")
include("algorithms/algorithm.jl")
include("algorithms/catalogue.jl")
include("algorithms/step_control.jl")

# Solving forwards.
include("gradients/quadrature.jl")
include("gradients/discrete.jl")
include("gradients/sensealgs.jl")
include("solving/interpolation.jl")
include("solving/stiffness.jl")
include("solving/forward.jl")
include("gradients/steady.jl")
include("solving/events.jl")

# Gradients.
include("gradients/backsolve.jl")
include("gradients/checked_algorithm.jl")
include("interop/boundary.jl")
include("gradients/backward.jl")
include("ensembles/ensemble.jl")
include("gradients/forward_sensitivity.jl")
include("gradients/forward_diff.jl")

include("precompile.jl")

end

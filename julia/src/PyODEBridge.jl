"""
    PyODEBridge

The Julia half of the Python package pyode_bridge: solves `du/dt = f(u, t)` whose right-hand side and
vector-Jacobian products are C callbacks, by any solver of OrdinaryDiffEq that a string names. Gradients are pulled
back through the solve with SciMLSensitivity's adjoints by an extension, `PyODEBridgeSciMLSensitivityExt`.
"""
module PyODEBridge

using ADTypes: ADTypes, AutoFiniteDiff
using ForwardDiff: ForwardDiff
using LinearAlgebra: BLAS, Diagonal, I, LU, SVD, SingularException, UniformScaling, dot, isdiag, issuccess, ldiv!, lu!, mul!,
    norm, rank, svd
using LinearSolve: LinearSolve
using Logging: Logging, AbstractLogger, with_logger
using OrdinaryDiffEqCore: OrdinaryDiffEqCore
using OrdinaryDiffEqExplicitRK: OrdinaryDiffEqExplicitRK, ExplicitRK
using OrdinaryDiffEqLowOrderRK: OrdinaryDiffEqLowOrderRK, DP5
using OrdinaryDiffEqRosenbrock: OrdinaryDiffEqRosenbrock, Rodas5P
using OrdinaryDiffEqTsit5: OrdinaryDiffEqTsit5, Tsit5
using OrdinaryDiffEqVerner: OrdinaryDiffEqVerner, Vern7, Vern9
using PrecompileTools: @compile_workload
using PyODETranslations: Compiled, GeneratedCode, Kernels, OneVector, PyODETranslations, TwoVectors, aot_cache_directory,
    aot_cache_files, define!, float_type, gc_safe, store
using SciMLBase: SciMLBase, DAEFunction, DAEProblem, DDEFunction, DDEProblem, DiscreteCallback,
    DynamicalODEProblem, ODEFunction, ODEProblem, SDEFunction, SDEProblem, SecondOrderODEProblem, SplitFunction,
    SplitODEProblem
using SciMLOperators: MatrixOperator
using SparseArrays: SparseMatrixCSC, nonzeros
using TOML: TOML

include("errors.jl")

# What crosses between Python and Julia: addresses, C functions, the dynamics as callbacks.
include("interop/addresses.jl")
include("interop/c_functions.jl")
include("interop/callbacks.jl")
include("interop/jumps.jl")

# Dynamics as machine code: translated ones, by PyODETranslations, those written in Julia, and the AOT cache.
include("compiled/julia_dynamics.jl")
include("compiled/functions.jl")
include("compiled/aot_cache.jl")

# Methods that are given by their numbers.
include("schemes/sums.jl")
include("schemes/tableau.jl")
include("schemes/fixed_steps.jl")
include("schemes/explicit.jl")
include("schemes/implicit.jl")
include("schemes/adams.jl")
include("schemes/integrator.jl")
include("schemes/named.jl")

# Solvers: how a name is looked up, what is known of each, and the options that it takes.
include("algorithms/packages.jl")
include("algorithms/expressions.jl")
include("algorithms/algorithm.jl")
include("algorithms/traits.jl")
include("algorithms/catalogue.jl")
include("algorithms/norms.jl")
include("algorithms/controllers.jl")
include("algorithms/listeners.jl")
include("algorithms/step_control.jl")
include("algorithms/ignored_options.jl")

# Equations of each kind, as problems of SciML, and which form of them a solver gets.
include("equations/ordinary.jl")
include("equations/parts.jl")
include("equations/stochastic.jl")
include("equations/delayed.jl")
include("equations/residual.jl")
include("equations/steady.jl")
include("equations/solver_form.jl")

# Solving forwards, to the end of time or to an event.
include("solving/heard_steps.jl")
include("solving/stiffness.jl")
include("solving/forward.jl")
include("solving/probing.jl")
include("solving/interpolation.jl")
include("solving/solution.jl")
include("solving/events.jl")
include("solving/following.jl")

# Gradients: the choice of a sensitivity algorithm and of its solvers, what is common to them, and the discrete adjoint.
include("gradients/sensealgs.jl")
include("gradients/sensealg_traits.jl")
include("gradients/choice.jl")
include("gradients/forward_algorithm.jl")
include("gradients/backward_algorithm.jl")
include("gradients/solve.jl")
include("gradients/checked_algorithm.jl")
include("gradients/adjoint_solution.jl")
include("gradients/mismatch.jl")
include("gradients/spare.jl")
include("gradients/quadrature.jl")
include("gradients/pull_back.jl")
include("gradients/standing.jl")
include("gradients/stepped_back.jl")
include("gradients/tableau.jl")
include("gradients/discrete.jl")
include("gradients/checkpoints.jl")
include("gradients/discrete_implicit.jl")
include("gradients/discrete_adams.jl")
include("gradients/noise_tableau.jl")
include("gradients/increments.jl")
include("gradients/discrete_noise.jl")
include("gradients/noise_path.jl")
include("gradients/delayed.jl")
include("gradients/residual.jl")
include("gradients/principal_axes.jl")

# Many solves of one equation, side by side on Julia's threads.
include("ensembles/threads.jl")
include("ensembles/relocated.jl")
include("ensembles/chunks.jl")
include("ensembles/reinit.jl")
include("ensembles/ensemble.jl")
include("ensembles/following.jl")

include("precompile.jl")

end

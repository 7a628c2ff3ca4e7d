# What is known of a solver by its type, wherever it matters.

function trait(f, alg, otherwise)
    return try
        oftype(otherwise, f(alg))
    catch err
        # It is not defined for this solver, or the solver has none, or half an order, as some stochastic ones do.
        err isa Union{ErrorException, InexactError, MethodError} || rethrow()
        otherwise
    end
end

"""Whether it solves equations in its steps; solvers for noise and for residuals tell by their Newton's method alone."""
solves_equations(alg) = trait(OrdinaryDiffEqCore.isimplicit, alg, false) || hasproperty(alg, :nlsolve)

"""Whether it, or one that it may switch to, solves equations in its steps, for which it wants the Jacobian."""
is_implicit(alg) = false
is_implicit(alg::OrdinaryDiffEqCore.OrdinaryDiffEqAlgorithm) = trait(OrdinaryDiffEqCore.isimplicit, alg, false)
is_implicit(alg::OrdinaryDiffEqCore.CompositeAlgorithm) = any(is_implicit, alg.algs)
is_implicit(alg::SciMLBase.AbstractSDEAlgorithm) = solves_equations(alg)

"""Whether its linear systems are solved by products with the Jacobian alone, for which no matrix is made."""
keeps_no_matrix(alg) = hasproperty(alg, :linsolve) && alg.linsolve !== nothing &&
    !LinearSolve.needs_concrete_A(alg.linsolve)

"""
Whether the problem may be stiff, to judge by the solver that was taken: an implicit, an exponential or a stabilised one,
or one of which nothing is known.
"""
meets_stiffness(alg) = alg isa SciMLBase.AbstractODEAlgorithm
meets_stiffness(alg::OrdinaryDiffEqCore.OrdinaryDiffEqAlgorithm) =
    is_implicit(alg) || alg isa OrdinaryDiffEqCore.ExponentialAlgorithm || hasproperty(alg, :eigen_est)
meets_stiffness(alg::OrdinaryDiffEqCore.CompositeAlgorithm) = any(meets_stiffness, alg.algs)

takes_duals(alg) = false
takes_duals(alg::OrdinaryDiffEqCore.OrdinaryDiffEqAlgorithm) =
    !is_implicit(alg) && !(alg isa OrdinaryDiffEqCore.ExponentialAlgorithm)

# Which equations it takes.

is_partitioned(alg) = is_partitioned_type(typeof(alg))
is_partitioned_type(type) = type <: OrdinaryDiffEqCore.PartitionedAlgorithm || is_second_order_type(type)
is_of_matrices(alg) = nameof(typeof(alg)) === :CayleyEuler
takes_operator(alg) = nameof(parentmodule(typeof(alg))) === :OrdinaryDiffEqLinear && !is_of_matrices(alg)
is_second_order(alg) = is_second_order_type(typeof(alg))
is_second_order_type(type) = nameof(parentmodule(type)) in OF_SECOND_ORDER
is_imex(alg) = is_split_only(alg) ||
    (alg isa OrdinaryDiffEqCore.OrdinaryDiffEqAlgorithm && OrdinaryDiffEqCore.issplit(alg))
is_split_only(alg) = nameof(typeof(alg)) in SPLIT_ONLY || nameof(parentmodule(typeof(alg))) in MULTIRATE

"""Packages whose solvers are for q'' = g(t, q, q')."""
const OF_SECOND_ORDER = (:OrdinaryDiffEqNewmark, :OrdinaryDiffEqRKN)

"""Packages whose solvers take shorter steps for the first part of an equation than for the second."""
const MULTIRATE = (:OrdinaryDiffEqMultirate, :OrdinaryDiffEqMultirateImplicit)

const SPLIT_ONLY = (:CNAB2, :CNLF2, :IRKC, :SBDF, :SplitEuler)
const SEMILINEAR = (:LawsonEuler, :NorsettEuler, :ETD2, :ETDRK2, :ETDRK3, :ETDRK4, :HochOst4)

"""Whether it needs the linear part's matrix; by Krylov subspaces, the Jacobian of an ordinary equation will do."""
needs_matrix(alg) = nameof(typeof(alg)) in SEMILINEAR && !(hasproperty(alg, :krylov) && alg.krylov)

"""
Whose calculus a solver of stochastic equations follows: "Ito" or "Stratonovich"; "" for any other. ISSEulerHeun takes
Heun's steps, and its package leaves it with the trait of all others, which is Itô's.
"""
function calculus(alg)
    alg isa KINDS["SDE"].type || return ""
    nameof(typeof(alg)) === :ISSEulerHeun && return "Stratonovich"
    return trait(string ∘ SciMLBase.alg_interpretation, alg, "")
end

# How it runs.

"""
Packages whose solvers cannot be stepped, only run from start to end; or whose steps are of another state, with estimates of
its global error in it.
"""
const WITHOUT_INTEGRATOR = (:GlobalDiffEq, :IRKGaussLegendre, :LSODA, :ODEInterfaceDiffEq)

"""Packages whose solvers take states of double precision alone."""
const OF_DOUBLE_PRECISION = (:IRKGaussLegendre, :Sundials)

takes_precision(alg, ::Type{Float64}) = true
takes_precision(alg, ::Type{<:AbstractFloat}) = !(nameof(parentmodule(typeof(alg))) in OF_DOUBLE_PRECISION)

has_integrator(alg) = !(nameof(parentmodule(typeof(alg))) in WITHOUT_INTEGRATOR)

"""
    starts_wrongly(alg)

Whether a solve with a given first step goes wrong without a word. In OrdinaryDiffEqAdamsBashforthMoulton 2.1 a step of
first order of VCABM, as the first one is, takes the derivative twice; the step that it chooses itself is so short that
this does not matter. JVODE goes on wrongly after a first step that the error test rejects.
"""
starts_wrongly(alg) = alg isa OrdinaryDiffEqCore.OrdinaryDiffEqAdamsVarOrderVarStepAlgorithm

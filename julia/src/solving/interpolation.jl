# Which solvers are to be relied on for an adjoint: between their steps, and in the backward solve.

"""Whether it, or one that it may switch to, solves equations in its steps."""
is_implicit(alg) = false
is_implicit(alg::OrdinaryDiffEqCore.OrdinaryDiffEqAlgorithm) = trait(OrdinaryDiffEqCore.isimplicit, alg, false)
is_implicit(alg::OrdinaryDiffEqCore.CompositeAlgorithm) = any(is_implicit, alg.algs)

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

"""
    poor_between_steps(alg)

Why values between the steps of `alg` may be far less accurate than an adjoint needs them; "" where nothing is known against
them. A cubic that the derivatives at both ends determine is worse than steps of an order above 3, and it is wrong where
the problem is stiff, unless it was made for such; methods of several steps are as accurate between steps as their order,
which changes; and stiff ones of low order follow a solution that swings with many tolerances of error.
"""
poor_between_steps(alg) = alg isa SciMLBase.AbstractODEAlgorithm ?
    "nothing is known of the values between the steps of $(nameof(typeof(alg)))" : ""

function poor_between_steps(alg::OrdinaryDiffEqCore.OrdinaryDiffEqAlgorithm)
    name, order = nameof(typeof(alg)), trait(OrdinaryDiffEqCore.alg_order, alg, 5)
    changes_order(alg) && return "the order of $name changes from step to step, and with it the error between them"
    if meets_stiffness(alg)
        trait(OrdinaryDiffEqCore.has_stiff_interpolation, alg, false) ||
            return "values between the steps of $name are wrong where the dynamics are stiff"
        return order < 4 ? "values between the steps of $name are of low order" : ""
    end
    (is_partitioned(alg) || takes_operator(alg) || order <= 3) && return ""
    return between_steps(alg) == HERMITE ? "values between the steps of $name are less accurate than its steps" : ""
end

"""Whether its order changes from step to step: OrdinaryDiffEqCore then asks its cache, by a method of its own."""
function changes_order(alg)
    asks(type) = which(OrdinaryDiffEqCore.get_current_alg_order, Tuple{type, Any})
    return asks(typeof(alg)) !== asks(OrdinaryDiffEqCore.OrdinaryDiffEqAlgorithm)
end

poor_between_steps(alg::OrdinaryDiffEqCore.CompositeAlgorithm) =
    something(iterate(Iterators.filter(!isempty, map(poor_between_steps, alg.algs))), ("",))[1]

const HERMITE = "3rd order Hermite"

"""What is known of the values between the steps of a solver, in its package's words, by the type of the solver."""
const BETWEEN_STEPS = Dict{Type, String}()
const LOOKING = ReentrantLock()

between_steps(alg) = @lock LOOKING get!(BETWEEN_STEPS, typeof(alg)) do
    still = following((du, u, t) -> fill!(du, 0), 1)
    integrator = start(still, [0.0], Float64[], [0.0, 1.0], alg; abstol = 1.0, reltol = 1.0, control = StepControl())
    return SciMLBase.interp_summary(typeof(integrator.cache), true)
end

"""The equation `u' = f` of `n` numbers, where `f(du, u, t)` is Julia's; of the types of all others, so that it compiles once."""
function following(f, n)
    rhs = Base.Experimental.@opaque function (du::Ptr{Cvoid}, u::Ptr{Cvoid}, t::Float64, env::Ptr{Cvoid})
        f(unsafe_wrap(Array, Ptr{Float64}(du), n), unsafe_wrap(Array, Ptr{Float64}(u), n), t)
        return Cint(0)
    end
    unused = two_vectors(0)
    return Ordinary(Callbacks(CFunction{OneVector}(rhs, C_NULL), unused, unused, one_vector(0)))
end

"""Components up to which matrices of the Jacobian's size are made where no solver that needs them was named."""
const LARGEST_DENSE = 500

"""For stiff problems: of one step, with an interpolant that knows stiff components."""
stiff_solver() = for_callbacks(Rodas5P())

"""
    reliable(alg, n)

The solver to ask for values between steps, of `n` components, where `alg` was to be it: another one if those of `alg`
would be poor, unless that one's matrices would be too large.
"""
function reliable(alg, n)
    isempty(poor_between_steps(alg)) && return alg
    meets_stiffness(alg) && return n <= LARGEST_DENSE ? stiff_solver() : alg
    return trait(OrdinaryDiffEqCore.alg_order, alg, 5) > 6 ? Vern9() : Vern7()
end

"""
    chosen_backward(alg, n, is_sparse, sensealg)

The name of the solver of the backward solve where none was asked for; "" for that of the forward solve, `alg`, as for
what does not solve for the adjoint variable. What an adjoint starts with, at each time of the loss, lies on fast
directions too; there, methods of several steps begin again, and those of low order take very many.
"""
function chosen_backward(alg, n, is_sparse, sensealg = nothing)
    sensealg isa Union{Nothing, InterpolatingAdjoint, QuadratureAdjoint, Gauss} || return ""
    is_partitioned(alg) && return "" # refused by `backward_algorithm`, with what to do
    meets_stiffness(alg) && !is_sparse && n > LARGEST_DENSE && return ""
    chosen = meets_stiffness(alg) ? stiff_solver() : reliable(alg, n)
    return chosen === alg ? "" : string(nameof(typeof(chosen)))
end

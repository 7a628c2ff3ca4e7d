# Values between the steps of a solver: how good they are, and which solver to ask for them.

const HERMITE = "3rd order Hermite"

"""What is known of the values between the steps of a solver, in its package's words, by the type of the solver."""
const BETWEEN_STEPS = Dict{Type, String}()

between_steps(alg) = @lock PROBING get!(BETWEEN_STEPS, typeof(alg)) do
    still = trial_equation((du, u, t) -> fill!(du, 0), 1)
    integrator = start(still, [0.0], Float64[], [0.0, 1.0], alg; abstol = 1.0, reltol = 1.0, control = StepControl())
    return SciMLBase.interp_summary(typeof(integrator.cache), true)
end

"""
Whether a method, if its order is above 4 or unknown, knows nothing better than a cubic between its steps, as
partitioned ones do: values at the times would be far worse than its steps, so these end there.
"""
function interpolates_poorly(integrator, alg)
    alg isa FixedSteps && return false
    is_partitioned(alg) && return true
    ordinary = alg isa OrdinaryDiffEqCore.OrdinaryDiffEqAlgorithm && !(alg isa OrdinaryDiffEqCore.CompositeAlgorithm)
    ordinary && trait(OrdinaryDiffEqCore.alg_order, alg, 5) > 4 || return false
    return SciMLBase.interp_summary(typeof(integrator.cache), true) == HERMITE
end

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
    alg isa FixedSteps && return "" # `adjoint_solution` sees to it
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

poor_between_steps(alg::OrdinaryDiffEqCore.CompositeAlgorithm) =
    something(iterate(Iterators.filter(!isempty, map(poor_between_steps, alg.algs))), ("",))[1]

"""Whether its order changes from step to step: OrdinaryDiffEqCore then asks its cache, by a method of its own."""
changes_order(alg) = @lock PROBING get!(CHANGING_ORDER, typeof(alg)) do
    asks(type) = which(OrdinaryDiffEqCore.get_current_alg_order, Tuple{type, Any})
    return asks(typeof(alg)) !== asks(OrdinaryDiffEqCore.OrdinaryDiffEqAlgorithm)
end

const CHANGING_ORDER = Dict{Type, Bool}() # by the type of the solver

"""Components up to which matrices of the Jacobian's size are made where no solver that needs them was named."""
const LARGEST_DENSE = 500

"""For stiff problems: of one step, with an interpolant that knows stiff components."""
stiff_solver() = for_callbacks(Rodas5P())

"""
    interpolating_algorithm(alg, n)

The solver to ask for values between steps, of `n` components, where `alg` was to be it: another one if those of `alg`
would be poor, unless that one's matrices would be too large.
"""
function interpolating_algorithm(alg, n)
    isempty(poor_between_steps(alg)) && return alg
    meets_stiffness(alg) && return n <= LARGEST_DENSE ? stiff_solver() : alg
    return explicit_solver(alg)
end

"""An explicit one with a good interpolant, of an order that is no lower."""
explicit_solver(alg) = trait(OrdinaryDiffEqCore.alg_order, alg, 5) > 6 ? Vern9() : Vern7()

# From a string or an algorithm object to a solver.

"""A kind of equation: the type of its solvers, what it is called, the Python function for it, and its package."""
struct Kind
    type::Type
    name::String
    python::String
    package::Union{Nothing, String}
end

const KINDS = Dict(
    "ODE" => Kind(SciMLBase.AbstractODEAlgorithm, "ordinary differential equations", "odeint", nothing),
    "SDE" => Kind(
        Union{SciMLBase.AbstractSDEAlgorithm, SciMLBase.AbstractRODEAlgorithm}, "stochastic differential equations",
        "sdeint", "StochasticDiffEq"
    ),
    "DDE" => Kind(
        Union{SciMLBase.AbstractDDEAlgorithm, SciMLBase.AbstractODEAlgorithm}, "delay differential equations",
        "ddeint", "DelayDiffEq"
    ),
    "DAE" => Kind(
        SciMLBase.AbstractDAEAlgorithm, "differential-algebraic equations in residual form", "daeint", nothing
    ),
    "steady" => Kind(
        SciMLBase.AbstractODEAlgorithm, "ordinary differential equations, which lead to a steady state",
        "steady_state", nothing
    ),
)

"""
    algorithm(text, kind = "ODE")

The solver that `text` names, for a kind of equation. A solver that can choose how to differentiate is told to use
finite differences (for what the callbacks do not give it, such as the time gradient): no dual number passes through a
callback. One that would evaluate the dynamics on several threads is told to use one.
"""
function algorithm(text::AbstractString, kind = "ODE")
    package = KINDS[kind].package
    package === nothing || load_package(package) !== nothing || throw(MissingPackageError(text, package))
    vocabulary = Vocabulary(vcat(solver_packages(), ARGUMENT_PACKAGES), construct_algorithm)
    return checked_algorithm(interpret(text, vocabulary), text, KINDS[kind])
end

"""A solver made elsewhere; what a callback cannot serve is remade as for one that is named."""
algorithm(object, kind = "ODE") = for_callbacks(checked_algorithm(object, string(object), KINDS[kind]))

function checked_algorithm(object, text, kind::Kind)
    object isa kind.type && return object
    others = [other.python for (_, other) in KINDS if object isa other.type]
    hint = isempty(others) ? "" : " Its place is pyode_bridge." * join(sort!(others), " or pyode_bridge.") * "."
    throw(UnsupportedError("`$text` is a $(nameof(typeof(object))), not a solver of $(kind.name).$hint"))
end

function construct_algorithm(callable, args, kwargs)
    autodiff = get(kwargs, :autodiff, nothing)
    autodiff isa Union{Nothing, AutoFiniteDiff} || throw(
        UnsupportedError(
            "$(nameof(callable)) cannot differentiate by $(nameof(typeof(autodiff))): the dynamics are a Python " *
                "callback, which takes plain numbers. Leave autodiff out, or write autodiff=AutoFiniteDiff()."
        )
    )
    return for_callbacks(construct(callable, args, kwargs))
end

for_callbacks(alg) = by_finite_differences(on_one_thread(alg))

function for_callbacks(alg::OrdinaryDiffEqCore.CompositeAlgorithm)
    return OrdinaryDiffEqCore.CompositeAlgorithm(map(for_callbacks, alg.algs), alg.choice_function)
end

"""A callback from another thread would wait for Python for ever: Python's thread waits for the solver."""
function on_one_thread(alg)
    (hasproperty(alg, :threading) && alg.threading !== false) || return alg
    return Base.invokelatest(SciMLBase.remake, alg; threading = false) # its package may have just been loaded
end

differentiates(alg) = hasproperty(alg, :autodiff) &&
    !(alg.autodiff isa ADTypes.AbstractADType && ADTypes.dense_ad(alg.autodiff) isa AutoFiniteDiff)

"""It, and the solver of the equations in its steps, by finite differences."""
function by_finite_differences(alg)
    differentiates(alg) && (alg = Base.invokelatest(SciMLBase.remake, alg; autodiff = AutoFiniteDiff()))
    hasproperty(alg, :nlsolve) && differentiates(alg.nlsolve) || return alg
    return Base.invokelatest(SciMLBase.remake, alg; nlsolve = by_finite_differences(alg.nlsolve))
end

"""What to call the solver that ran; one that switches is called by those that it used."""
function algorithm_name(solved)
    alg = solved.sol.alg
    alg isa OrdinaryDiffEqCore.CompositeAlgorithm || return string(nameof(typeof(alg)))
    used = unique(string(nameof(typeof(alg.algs[i]))) for i in solved.sol.alg_choice)
    return "CompositeAlgorithm(" * join(used, ", ") * ")"
end

function construct(callable, args, kwargs)
    return try
        Base.invokelatest(callable, args...; kwargs...)
    catch err
        err isa Union{MethodError, ArgumentError, UndefKeywordError, TypeError} || rethrow()
        throw(UnsupportedError("$callable cannot be made from these arguments: " * sprint(showerror, err)))
    end
end

# From a string to a solver.

"""
    algorithm(text)

The solver that `text` names. A solver that can choose how to differentiate is told to use finite differences (for
what the callbacks do not give it, such as the time gradient): no dual number passes through a callback.
"""
function algorithm(text::AbstractString)
    packages = vcat(solver_packages(), ARGUMENT_PACKAGES)
    return checked_algorithm(interpret(text, packages; construct = construct_algorithm), text)
end

"""A solver made elsewhere; where it would differentiate by dual numbers, it is remade with finite differences."""
algorithm(object) = by_finite_differences(checked_algorithm(object, string(object)))

function checked_algorithm(object, text)
    object isa SciMLBase.AbstractODEAlgorithm && return object
    throw(UnsupportedError("`$text` is a $(typeof(object)), not a solver of ordinary differential equations."))
end

function construct_algorithm(callable, args, kwargs)
    made = construct(callable, args, kwargs)
    uses_finite_differences(made) && return made
    haskey(kwargs, :autodiff) || return construct(callable, args, (; kwargs..., autodiff = AutoFiniteDiff()))
    throw(
        UnsupportedError(
            "$(nameof(typeof(made))) cannot differentiate by $(nameof(typeof(kwargs.autodiff))): the dynamics are a " *
                "Python callback, which takes plain numbers. Leave autodiff out, or write autodiff=AutoFiniteDiff()."
        )
    )
end

uses_finite_differences(alg) = !hasproperty(alg, :autodiff) || ADTypes.dense_ad(alg.autodiff) isa AutoFiniteDiff

function by_finite_differences(alg)
    return uses_finite_differences(alg) ? alg : SciMLBase.remake(alg; autodiff = AutoFiniteDiff())
end

function by_finite_differences(alg::OrdinaryDiffEqCore.CompositeAlgorithm)
    return OrdinaryDiffEqCore.CompositeAlgorithm(map(by_finite_differences, alg.algs), alg.choice_function)
end

"""What to call a solver that was made elsewhere."""
algorithm_name(alg) = string(nameof(typeof(alg)))

function construct(callable, args, kwargs)
    return try
        Base.invokelatest(callable, args...; kwargs...)
    catch err
        err isa Union{MethodError, ArgumentError, UndefKeywordError, TypeError} || rethrow()
        throw(UnsupportedError("$callable cannot be made from these arguments: " * sprint(showerror, err)))
    end
end

"""Name and package of every solver type that the solver packages export, with the first line of its docstring."""
function catalogue()
    rows = Tuple{String, String, String}[]
    for package in solver_packages()
        mod = load_package(package)
        mod === nothing && continue
        for name in Base.invokelatest(names, mod)
            value = Base.invokelatest(getfield, mod, name)
            value isa Type && value <: SciMLBase.AbstractODEAlgorithm && !isabstracttype(value) || continue
            push!(rows, (String(name), package, summary_line(mod, name)))
        end
    end
    return sort!(unique!(first, rows))
end

function summary_line(mod::Module, name::Symbol)
    text = string(Base.invokelatest(Base.Docs.doc, Base.Docs.Binding(mod, name)))
    lines = filter(line -> !isempty(line) && isletter(first(line)), strip.(split(text, '\n')))
    return isempty(lines) ? "" : String(first(lines))
end

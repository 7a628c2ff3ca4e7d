# From a string to a solver.

"""
    algorithm(text)

The solver that `text` names. Where a solver can choose how to differentiate and the text leaves it open, it is told
to use finite differences: the dynamics are a callback, through which no dual number passes.
"""
function algorithm(text::AbstractString)
    packages = vcat(solver_packages(), ARGUMENT_PACKAGES)
    return checked_algorithm(interpret(text, packages; construct = construct_algorithm), text)
end

algorithm(object) = checked_algorithm(object, string(object))

function checked_algorithm(object, text)
    object isa SciMLBase.AbstractODEAlgorithm && return object
    throw(UnsupportedError("`$text` is a $(typeof(object)), not a solver of ordinary differential equations."))
end

function construct_algorithm(callable, args, kwargs)
    made = construct(callable, args, kwargs)
    undecided = hasproperty(made, :autodiff) && !haskey(kwargs, :autodiff)
    return undecided ? construct(callable, args, (; kwargs..., autodiff = AutoFiniteDiff())) : made
end

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

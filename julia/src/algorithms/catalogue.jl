# What solvers there are, and what Julia knows about each.

const FAMILIES = Dict(
    "AdamsBashforthMoulton" => "multistep", "BDF" => "BDF/NDF", "Default" => "automatic",
    "ExplicitRK" => "explicit RK", "ExponentialRK" => "exponential", "Extrapolation" => "extrapolation",
    "FIRK" => "FIRK", "Feagin" => "explicit RK", "HighOrderRK" => "explicit RK", "IMEXMultistep" => "IMEX multistep",
    "Linear" => "linear (Magnus, Lie)", "LowOrderRK" => "explicit RK", "LowStorageRK" => "low-storage RK",
    "Nordsieck" => "multistep", "PDIRK" => "parallel DIRK", "PRK" => "explicit RK", "QPRK" => "explicit RK",
    "RKN" => "Nystrom", "Rosenbrock" => "Rosenbrock", "SDIRK" => "SDIRK", "SSPRK" => "strong-stability RK",
    "StabilizedIRK" => "stabilised", "StabilizedRK" => "stabilised", "SymplecticRK" => "symplectic",
    "Tsit5" => "explicit RK", "Verner" => "Verner", "DelayDiffEq" => "DDE", "GlobalDiffEq" => "global error",
    "Multirate" => "multirate", "MultirateImplicit" => "multirate", "Newmark" => "Newmark",
)

"""
    catalogue()

A row for every solver type that the solver packages export: name, package, the package's version, family, order (0 where
it has none that is fixed), whether it adapts its steps, whether it is implicit, the kind of problem it solves, whose
calculus it follows, and the first paragraph of its docstring. All but the family is read from Julia's traits and types.
"""
function catalogue()
    rows = Tuple{String, String, String, String, Int, Bool, Bool, String, String, String}[]
    for package in solver_packages()
        endswith(package, "Core") && continue # it exports what solvers are made of
        mod = load_package(package)
        mod === nothing && continue
        for name in Base.invokelatest(names, mod)
            Base.invokelatest(isdefined, mod, name) || continue # two packages may export what neither means to share
            value = Base.invokelatest(getfield, mod, name)
            is_solver(value) && push!(rows, Base.invokelatest(describe, value, name, package))
        end
    end
    return sort!(unique!(first, rows))
end

const SOLVER = Union{(kind.type for kind in values(KINDS))...}

is_solver(value) = value isa Type && isstructtype(value) && !isabstracttype(value) && value <: SOLVER

function describe(type, name, package)
    alg = default_instance(type)
    family = startswith(package, "StochasticDiffEq") ? "SDE" :
        get(FAMILIES, replace(package, "OrdinaryDiffEq" => ""; count = 1), package)
    return (
        String(name), package, string(pkgversion(parentmodule(type))), family, trait(OrdinaryDiffEqCore.alg_order, alg, 0),
        trait(SciMLBase.isadaptive, alg, false), solves_equations(alg), problem_kind(type), calculus(alg),
        summary_line(type),
    )
end

function problem_kind(type)
    is_partitioned_type(type) && return "partitioned"
    # Any solver of ordinary equations serves delay equations too: it is listed as what it is first.
    return first(name for name in ("ODE", "SDE", "DAE", "DDE") if type <: KINDS[name].type)
end

function default_instance(type)
    return try
        type()
    catch
        nothing # it needs an argument, and has no traits without one
    end
end

"""The first paragraph of prose of a type's docstring, in one line; a heading ends it too."""
function summary_line(type)
    for paragraph in eachsplit(replace(docstring(type), r"```.*?```"s => "\n\n"), r"\n[ \t]*(?:\n|(?=#))")
        prose = strip(paragraph, '\n')
        !isempty(prose) && isletter(first(prose)) && return join(split(prose), ' ')
    end
    return ""
end

"""A type's docstring as it was written; to render it takes REPL, which Julia 1.11 does not load by itself."""
function docstring(type)
    binding = Base.Docs.Binding(parentmodule(type), nameof(type))
    for home in Base.Docs.modules
        documented = Base.Docs.meta(home; autoinit = false)
        found = documented === nothing ? nothing : get(documented, binding, nothing)
        found === nothing && continue
        return join(piece for piece in found.docs[first(found.order)].text if piece isa AbstractString)
    end
    return ""
end

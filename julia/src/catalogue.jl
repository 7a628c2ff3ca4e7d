# What solvers there are, and what Julia knows about each.

const FAMILIES = Dict(
    "AdamsBashforthMoulton" => "multistep", "BDF" => "BDF/NDF", "Default" => "automatic",
    "ExplicitRK" => "explicit RK", "ExponentialRK" => "exponential", "Extrapolation" => "extrapolation",
    "FIRK" => "FIRK", "Feagin" => "explicit RK", "HighOrderRK" => "explicit RK", "IMEXMultistep" => "IMEX multistep",
    "Linear" => "linear (Magnus, Lie)", "LowOrderRK" => "explicit RK", "LowStorageRK" => "low-storage RK",
    "Nordsieck" => "multistep", "PDIRK" => "parallel DIRK", "PRK" => "explicit RK", "QPRK" => "explicit RK",
    "RKN" => "Nystrom", "Rosenbrock" => "Rosenbrock", "SDIRK" => "SDIRK", "SSPRK" => "strong-stability RK",
    "StabilizedIRK" => "stabilised", "StabilizedRK" => "stabilised", "SymplecticRK" => "symplectic",
    "Tsit5" => "explicit RK", "Verner" => "Verner",
)

const PARTITIONED = Union{
    OrdinaryDiffEqCore.OrdinaryDiffEqPartitionedAlgorithm,
    OrdinaryDiffEqCore.OrdinaryDiffEqAdaptivePartitionedAlgorithm,
}

"""
    catalogue()

A row for every solver type that the solver packages export: name, package, family, order (0 where it has none that is
fixed), whether it adapts its steps, whether it is implicit, the kind of problem it solves, and the first line of its
docstring. All but the family is read from Julia's traits and types.
"""
function catalogue()
    rows = Tuple{String, String, String, Int, Bool, Bool, String, String}[]
    for package in solver_packages()
        mod = load_package(package)
        mod === nothing && continue
        for name in Base.invokelatest(names, mod)
            value = Base.invokelatest(getfield, mod, name)
            is_solver(value) && push!(rows, Base.invokelatest(describe, value, name, package, mod))
        end
    end
    return sort!(unique!(first, rows))
end

is_solver(value) = value isa Type && !isabstracttype(value) &&
    value <: Union{SciMLBase.AbstractODEAlgorithm, SciMLBase.AbstractDAEAlgorithm}

function describe(type, name, package, mod)
    alg = default_instance(type)
    family = get(FAMILIES, replace(package, "OrdinaryDiffEq" => ""; count = 1), package)
    kind = type <: SciMLBase.AbstractDAEAlgorithm ? "DAE" : type <: PARTITIONED ? "partitioned" : "ODE"
    return (
        String(name), package, family, trait(OrdinaryDiffEqCore.alg_order, alg, 0),
        trait(SciMLBase.isadaptive, alg, false), trait(OrdinaryDiffEqCore.isimplicit, alg, false), kind,
        summary_line(mod, name),
    )
end

function default_instance(type)
    return try
        type()
    catch
        nothing # it needs an argument, and has no traits without one
    end
end

function trait(f, alg, otherwise)
    return try
        oftype(otherwise, f(alg))
    catch
        otherwise # Julia does not define it for this solver
    end
end

function summary_line(mod::Module, name::Symbol)
    text = string(Base.invokelatest(Base.Docs.doc, Base.Docs.Binding(mod, name)))
    lines = filter(line -> !isempty(line) && isletter(first(line)), strip.(split(text, '\n')))
    return isempty(lines) ? "" : String(first(lines))
end

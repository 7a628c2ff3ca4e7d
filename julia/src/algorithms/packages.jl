# Packages whose names may stand in a solver expression. They are loaded when one of their names is first used: loading
# them all would cost every session many seconds.

"""
Packages that hold solvers: the dependencies of this package named OrdinaryDiffEq..., weak ones too, and optional ones
present. The weak ones are those that nothing here needs before a solver of theirs is named: they are compiled then.
"""
function solver_packages()
    own = dependencies(joinpath(pkgdir(@__MODULE__), "Project.toml"), "OrdinaryDiffEq")
    present = filter(name -> Base.find_package(name) !== nothing, first.(OPTIONAL_SOLVERS))
    return vcat(own, present, reduce(vcat, map(members, present); init = String[]))
end

"""Packages of solvers that a package gathers, as StochasticDiffEq does StochasticDiffEqLowOrder and others."""
function members(package::AbstractString)
    path = Base.find_package(package)
    return path === nothing ? String[] : dependencies(joinpath(dirname(dirname(path)), "Project.toml"), package)
end

function dependencies(project, prefix)
    isfile(project) || return String[]
    table = TOML.parsefile(project)
    names = [name for kind in ("deps", "weakdeps") for name in keys(get(table, kind, Dict()))]
    return sort!(filter!(startswith(prefix), names))
end

"""
Packages that a user may add to the environment, each with names of its solvers: what it is good to install it for.
"""
const OPTIONAL_SOLVERS = [
    "Sundials" => ["CVODE_BDF", "CVODE_Adams", "ARKODE", "IDA"],
    "StochasticDiffEq" => ["SOSRI", "SOSRA", "SRIW1", "SRA1", "EM", "LambaEM", "RKMil", "ISSEM", "SKenCarp"],
    "DelayDiffEq" => ["MethodOfSteps"],
    "LSODA" => ["lsoda"],
    "IRKGaussLegendre" => ["IRKGL16"],
    "ODEInterfaceDiffEq" => ["dopri5", "dop853", "odex", "seulex", "radau", "radau5", "rodas", "ddeabm", "ddebdf"],
    "GlobalDiffEq" => ["GLEE23", "GLEE24", "GLEE35", "MM5GEE", "GlobalRichardson"],
    "OrdinaryDiffEqMultirate" => ["MREEF", "MRAB", "MIS", "MRIGARKERK22a", "MRIGARKERK33a", "MRIGARKERK45a"],
    "OrdinaryDiffEqMultirateImplicit" => ["MREIL", "MRIGARKIRK21a", "MRIGARKESDIRK34a", "MRIGARKESDIRK46a"],
    "OrdinaryDiffEqNewmark" => ["NewmarkBeta", "GeneralizedAlpha"],
]

"""Packages that hold what solvers take as arguments: linear solvers and automatic differentiation backends."""
const ARGUMENT_PACKAGES = ["LinearSolve", "ADTypes"]

"""A dependency of this package, a package of the active environment, or one that such a package gathers."""
function identify(name::AbstractString)
    id = Base.identify_package(@__MODULE__, name)
    id === nothing && (id = Base.identify_package(name))
    id === nothing || return id
    for (package, _) in OPTIONAL_SOLVERS
        place = Base.identify_package(package)
        id = place === nothing ? nothing : Base.identify_package(place, name)
        id === nothing || return id
    end
    return nothing
end

"""Packages by name, which takes a millisecond to look up, and who may look at them: solves of ensembles do at once."""
const LOADED, AT_LOADED = Dict{String, Module}(), ReentrantLock()

"""The module of a package, loading it if needed, or nothing if it is not installed."""
function load_package(name::AbstractString)
    known = @lock AT_LOADED get(LOADED, name, nothing)
    known === nothing || return known
    found = loaded_package(name)
    found === nothing || @lock AT_LOADED LOADED[name] = found
    return found
end

function loaded_package(name)
    id = identify(name)
    id === nothing && return nothing
    Base.locate_package(id) === nothing && return nothing
    Base.root_module_exists(id) || Base.isprecompiled(id) || announce_compiling(id)
    return Base.require(id)
end

"""
Say what a solve waits for, where a package of solvers is compiled at its first use. Throw where it would wait for ever:
compiling reads what another process writes, for which Julia needs its first thread, and that runs Python's code while
another thread solves.
"""
function announce_compiling(id)
    Threads.threadid() == 1 || throw(
        UnsupportedError(
            "$(id.name) is not compiled yet, which Julia does in its first thread alone. Solve once with the same " *
                "solver in the main thread, or run `python -m pyode_bridge install`."
        )
    )
    println(stderr, "pyode_bridge: compiling $(id.name), once; this can take a minute or more.")
    return nothing
end

"""The names that a package's source exports, read as text, without loading it."""
function exported_names(package::AbstractString)
    id = identify(package)
    path = id === nothing ? nothing : Base.locate_package(id)
    path === nothing && return String[]
    statements = eachmatch(r"^\s*export\s+((?:[^\n]*,\s*\n)*[^\n]*)"m, read(path, String))
    return unique!(String[m.match for s in statements for m in eachmatch(r"[A-Za-z_]\w*", s.captures[1])])
end

"""The value that `name` stands for in one of `packages`, or nothing."""
function find_exported(name::Symbol, packages)
    for package in packages
        String(name) in exported_names(package) || continue
        mod = load_package(package)
        mod === nothing && continue
        Base.invokelatest(isdefined, mod, name) && return Base.invokelatest(getfield, mod, name)
    end
    return nothing
end

"""Those of `solver_packages` that are compiled, which load in little time."""
compiled_packages() = filter(name -> Base.isprecompiled(identify(name)), solver_packages())

"""Versions of Julia and of the packages that do the work, as pairs of strings; loads those that are not yet."""
function versions()
    packages = ("OrdinaryDiffEqCore", "OrdinaryDiffEqTsit5", "SciMLBase", "SciMLSensitivity", "LinearSolve")
    found = [name => string(pkgversion(load_package(name))) for name in packages]
    return ["Julia" => string(VERSION); found; string(nameof(@__MODULE__)) => string(pkgversion(@__MODULE__))]
end

# Packages whose names may stand in a solver expression. Solver families are loaded when one of their names is first
# used: loading them all would cost every session many seconds.

"""Packages that hold solvers: the dependencies of this package named OrdinaryDiffEq..., loaded or not."""
function solver_packages()
    project = TOML.parsefile(joinpath(pkgdir(@__MODULE__), "Project.toml"))
    return sort!(filter(startswith("OrdinaryDiffEq"), collect(keys(project["deps"]))))
end

"""Packages that hold what solvers take as arguments: linear solvers and automatic differentiation backends."""
const ARGUMENT_PACKAGES = ["LinearSolve", "ADTypes"]

"""The module of a dependency of this package, loading it if needed, or nothing if it is not installed."""
function load_package(name::AbstractString)
    id = Base.identify_package(@__MODULE__, name)
    id === nothing && return nothing
    Base.locate_package(id) === nothing && return nothing
    return Base.require(id)
end

"""The names that a package's source exports, read as text, without loading it."""
function exported_names(package::AbstractString)
    id = Base.identify_package(@__MODULE__, package)
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

# Names of other packages that these do not promise: those in the source, and those in the register.

const ROOT = dirname(dirname(@__DIR__))

"Names, as `Package.name`, that an expression takes from a package, with whether that neither exports nor declares them."
function names_taken!(found, expression)
    expression isa Expr || return found
    if Meta.isexpr(expression, :., 2) && expression.args[2] isa QuoteNode
        owner, name = expression.args[1], expression.args[2].value
        owner isa Symbol && takes(owner, name) && (found["$owner.$name"] = is_private(owner, name))
    end
    foreach(argument -> names_taken!(found, argument), expression.args)
    return found
end

function takes(owner, name)
    package = package_named(owner)
    return package isa Module && name isa Symbol && is_of_package(package) && isdefined(package, name)
end

is_private(owner, name) = !Base.ispublic(package_named(owner), name)

"What the name stands for in the package or its extension, or nothing."
function package_named(owner)
    place = findfirst(part -> isdefined(part, owner), (PyODEBridge, Sensitivities))
    return place === nothing ? nothing : getfield((PyODEBridge, Sensitivities)[place], owner)
end

"Whether a module is a package's, and neither one of this project's nor one that comes with Julia."
function is_of_package(package)
    path = pathof(Base.moduleroot(package))
    return path !== nothing && !startswith(path, Sys.STDLIB) && Base.moduleroot(package) ∉ (PyODEBridge, PyODETranslations, Sensitivities)
end

sources(folder) = [joinpath(place, file) for (place, _, files) in walkdir(folder) for file in files if endswith(file, ".jl")]

if VERSION >= v"1.11" # which knows what is public
    @testset "private names are in the register, and no others" begin
        found = Dict{String, Bool}()
        for folder in ("src", "ext", "translations"), file in sources(joinpath(ROOT, "julia", folder))
            names_taken!(found, Meta.parseall(read(file, String)))
        end
        table = split(read(joinpath(ROOT, "docs", "private-apis.md"), String), "## Julia"; limit = 2)[2]
        rows = filter(startswith("| `"), split(table, '\n'))
        named = Set(match.captures[1] for row in rows for match in eachmatch(r"`([^`]+)`", split(row, '|')[2]))
        @test filter(name -> found[name], keys(found)) ⊆ named
        @test named ⊆ keys(found) # newer versions may have declared what older ones kept to themselves
    end
end

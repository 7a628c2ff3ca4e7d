# The cache of functions compiled ahead of time. The generated code of each session stays in the depot; `compile_aot_cache`
# has Julia make a package image of it all, AOTCache, and from then on sessions load from that what they would compile.

const IMAGE_PACKAGE = Base.PkgId(Base.UUID("c3fb7d4e-9a1b-4a55-8a0e-3f0f6f3f2f5d"), "AOTCache")

"""The functions of the image by their code; nothing before the first look."""
const IMAGE = Ref{Union{Nothing, Dict{GeneratedCode, Function}}}(nothing)

"""The functions that `code` defines, with their addresses, from the image; nothing if it does not hold them."""
function from_image(code::GeneratedCode)
    IMAGE[] === nothing && (IMAGE[] = load_image())
    functions = get(IMAGE[], code, nothing)
    functions === nothing && return nothing
    store(code) # as one of the latest
    return Base.invokelatest(functions)::Compiled
end

function load_image()
    return with_image_package() do
        Base.isprecompiled(IMAGE_PACKAGE) || return Dict{GeneratedCode, Function}()
        image = Base.require(IMAGE_PACKAGE)
        return Base.invokelatest(getglobal, image, :FUNCTIONS)
    end
end

"""Call `work` while Julia finds the package of the image, which no environment names."""
function with_image_package(work)
    directory = joinpath(pkgdir(PyODEBridge), "aot_cache")
    push!(LOAD_PATH, directory)
    return try
        work()
    finally
        deleteat!(LOAD_PATH, findlast(==(directory), LOAD_PATH))
    end
end

"""Make the image anew, of all that is stored; returns how many. Progress goes to the standard error stream."""
function compile_aot_cache()
    count = length(aot_cache_files())
    count == 0 || with_image_package(() -> Base.compilecache(IMAGE_PACKAGE))
    return count
end

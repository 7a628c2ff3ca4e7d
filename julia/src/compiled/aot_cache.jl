# The cache of functions compiled ahead of time. The generated code of each session stays in the depot; `compile_aot_cache`
# has Julia make a package image of it all, AOTCache, and from then on sessions load from that what they would compile.

const MOST_STORED = 64 # the latest ones; dynamics that were changed since are not solved again
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

"""Compile what is stored, each in a module of its own within `parent`, while Julia makes an image of that."""
function compile_stored!(parent::Module)
    functions, files = Dict{GeneratedCode, Function}(), aot_cache_files()
    for (number, file) in enumerate(files)
        print(stderr, "\rpyode_bridge: compiling $number of $(length(files)) ")
        code = deserialised(read(file, String))
        mod = Core.eval(parent, Expr(:module, true, Symbol(:Translated, number), Expr(:block)))
        functions[code] = define!(mod, code)
        Base.invokelatest(compile_ahead, mod, code)
    end
    println(stderr)
    return functions
end

function compile_ahead(mod, code)
    T = float_type(code.type)
    for (name, vectors) in code.signatures
        precompile(getglobal(mod, name), argument_types(T, vectors))
    end
    precompile(getglobal(mod, :functions), ())
    return nothing
end

const AOT_CACHE = "translations" # the name of its scratch space

aot_cache_directory() = Scratch.scratch_dir(string(Base.PkgId(PyODEBridge).uuid), AOT_CACHE)

"""The files of generated code, the latest first."""
function aot_cache_files()
    directory = aot_cache_directory()
    isdir(directory) || return String[]
    files = filter(endswith(".jl"), readdir(directory; join = true))
    return sort!(files; by = mtime, rev = true)
end

"""Leave code for later sessions, where the depot can be written."""
function store(code::GeneratedCode)
    try
        directory = get_scratch!(@__MODULE__, AOT_CACHE) # which tells Pkg.gc that it is in use
        file = joinpath(directory, string(hash(code); base = 16) * ".jl")
        # Others read and write here, too; a file appears whole.
        part, io = mktemp(directory; cleanup = false)
        print(io, serialised(code))
        close(io)
        mv(part, file; force = true)
        foreach(old -> rm(old; force = true), Iterators.drop(aot_cache_files(), MOST_STORED))
    catch err
        err isa Union{SystemError, Base.IOError} || rethrow()
    end
    return nothing
end

# The generated code of each session, which stays in the depot for later ones, and its compilation for an image of all.

const MOST_STORED = 64 # the latest ones; dynamics that were changed since are not solved again

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

aot_cache_directory() = Scratch.scratch_dir(string(Base.PkgId(PyODETranslations).uuid), AOT_CACHE)

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

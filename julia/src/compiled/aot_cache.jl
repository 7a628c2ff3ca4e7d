# Translations kept on disk. The text of each that is compiled stays in the depot; `compile_kept` has Julia make a package
# image of them all, AOTCache, and from then on sessions load from it what they would compile.

const MOST_TEXTS = 64 # the latest ones; dynamics that were changed since are not solved again
const IMAGE_PACKAGE = Base.PkgId(Base.UUID("c3fb7d4e-9a1b-4a55-8a0e-3f0f6f3f2f5d"), "AOTCache")

"""The functions of the image by their texts; nothing before the first look."""
const IMAGE = Ref{Union{Nothing, Dict{Text, Function}}}(nothing)

"""The functions of a text, with their addresses, from the image; nothing if it does not hold them."""
function from_image(text::Text)
    IMAGE[] === nothing && (IMAGE[] = load_image())
    functions = get(IMAGE[], text, nothing)
    functions === nothing && return nothing
    keep(text) # as one of the latest
    return Base.invokelatest(functions)::Compiled
end

function load_image()
    return with_image_package() do
        Base.isprecompiled(IMAGE_PACKAGE) || return Dict{Text, Function}()
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

"""
Make the image of all texts that are kept, anew; returns how many. Progress goes to the standard error stream.
"""
function compile_kept()
    count = length(kept_files())
    count == 0 || with_image_package(() -> Base.compilecache(IMAGE_PACKAGE))
    return count
end

"""Compile the texts, each in a module of its own within `parent`, while Julia makes an image of that."""
function compile_texts!(parent::Module)
    functions, files = Dict{Text, Function}(), kept_files()
    for (number, file) in enumerate(files)
        print(stderr, "\rpyode_bridge: compiling $number of $(length(files)) ")
        text = parsed(read(file, String))
        home = Core.eval(parent, Expr(:module, true, Symbol(:Translated, number), Expr(:block)))
        functions[text] = define!(home, text)
        Base.invokelatest(compile_ahead, home, text)
    end
    println(stderr)
    return functions
end

function compile_ahead(home, text)
    T = float_type(text.type)
    for (name, vectors) in text.signatures
        precompile(getglobal(home, name), argument_types(T, vectors))
    end
    precompile(getglobal(home, :functions), ())
    return nothing
end

kept_directory() = joinpath(first(DEPOT_PATH), "scratchspaces", string(Base.PkgId(PyODEBridge).uuid), "translations")

"""The files of texts, the latest first."""
function kept_files()
    directory = kept_directory()
    isdir(directory) || return String[]
    files = filter(endswith(".jl"), readdir(directory; join = true))
    return sort!(files; by = mtime, rev = true)
end

"""Keep a text, where the depot can be written."""
function keep(text::Text)
    file = joinpath(kept_directory(), string(hash(text); base = 16) * ".jl")
    try
        mkpath(dirname(file))
        # Others read and write here, too; a file appears whole.
        part, io = mktemp(dirname(file); cleanup = false)
        print(io, spelt(text))
        close(io)
        mv(part, file; force = true)
        foreach(old -> rm(old; force = true), Iterators.drop(kept_files(), MOST_TEXTS))
    catch err
        err isa Union{SystemError, Base.IOError} || rethrow()
    end
    return nothing
end

"""A text as its file holds it: what it needs beside its source is in the first line."""
spelt(text::Text) =
    "# " * join([text.type; ["$name:$vectors" for (name, vectors) in text.signatures]], " ") * "\n" * text.source

function parsed(content::AbstractString)
    heading, source = split(content, '\n'; limit = 2)
    _, type, signatures... = split(heading)
    pairs = [split(signature, ':') for signature in signatures]
    return Text(source, type, [(name, parse(Int, vectors)) for (name, vectors) in pairs])
end

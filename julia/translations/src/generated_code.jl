# Julia code that the Python half has generated, and the text that a file holds of it.

"""What is compiled: the source of functions, the type of their numbers, and their names with their numbers of vectors."""
struct GeneratedCode
    source::String
    type::String
    signatures::Vector{Tuple{Symbol, Int}}

    GeneratedCode(source, type, signatures) =
        new(String(source), String(type), [(Symbol(name), Int(vectors)) for (name, vectors) in signatures])
end

Base.:(==)(one::GeneratedCode, other::GeneratedCode) =
    one.source == other.source && one.type == other.type && one.signatures == other.signatures
Base.hash(code::GeneratedCode, seed::UInt) = hash(code.source, hash(code.type, hash(code.signatures, seed)))

"""The text of a file: what is needed beside the source is in the first line."""
serialised(code::GeneratedCode) =
    "# " * join([code.type; ["$name:$vectors" for (name, vectors) in code.signatures]], " ") * "\n" * code.source

function deserialised(content::AbstractString)
    heading, source = split(content, '\n'; limit = 2)
    _, type, signatures... = split(heading)
    pairs = [split(signature, ':') for signature in signatures]
    return GeneratedCode(source, type, [(name, parse(Int, vectors)) for (name, vectors) in pairs])
end

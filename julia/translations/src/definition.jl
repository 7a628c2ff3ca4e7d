# From generated code to C functions.

float_type(name::AbstractString) = name == "float32" ? Float32 : Float64

"""Takes where to write, one vector, the time and an environment, and returns 0 on success."""
const OneVector = Core.OpaqueClosure{Tuple{Ptr{Cvoid}, Ptr{Cvoid}, Float64, Ptr{Cvoid}}, Cint}

"""Takes where to write, two vectors, the time and an environment, and returns 0 on success."""
const TwoVectors = Core.OpaqueClosure{Tuple{Ptr{Cvoid}, Ptr{Cvoid}, Ptr{Cvoid}, Float64, Ptr{Cvoid}}, Cint}

"""Addresses of C functions, each with the closure by which Julia's half calls it."""
const Compiled = Vector{Tuple{Ptr{Cvoid}, Union{OneVector, TwoVectors}}}

"""
Define the functions of `code` in `mod`, and what this returns: one that returns them `Compiled`. They call what the modules
`parts` export.
"""
function define!(mod::Module, code::GeneratedCode, parts = (Kernels,))
    for part in parts, name in names(part)
        name === nameof(part) || Core.eval(mod, :(const $name = $(getfield(part, name))))
    end
    Core.eval(mod, Meta.parseall(code.source))
    T = float_type(code.type)
    pairs = [
        :($(cfunction_code(name, T, vectors)), $(closure_code(name, T, vectors))) for (name, vectors) in code.signatures
    ]
    return Core.eval(mod, :(functions() = $(eltype(Compiled))[$(pairs...)]))
end

"""What a function of so many vectors takes."""
argument_types(::Type{T}, vectors::Int) where {T} = (fill(Ptr{T}, vectors)..., Cdouble, Ptr{Int})

"""Code of the address of a function of so many vectors."""
cfunction_code(name::Symbol, type, vectors) = :(@cfunction($name, Cint, $(Expr(:tuple, argument_types(type, vectors)...))))

"""Code of a closure that calls a translation."""
function closure_code(name::Symbol, ::Type{T}, vectors::Int) where {T}
    arrays = [Symbol(:array, i) for i in 1:vectors]
    arguments = Expr(:tuple, (:($array::Ptr{Cvoid}) for array in arrays)..., :(t::Float64), :(env::Ptr{Cvoid}))
    call = :($name($((:(Ptr{$T}($array)) for array in arrays)...), t, Ptr{Int}(env)))
    return :(Base.Experimental.@opaque($arguments -> $call))
end

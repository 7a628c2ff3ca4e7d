# Dynamics that were translated to Julia, as C functions.

"""
    compile(source, type, names)

The addresses of C functions that `source` defines under `names`: `(out, u, t, env)` for a function and its Jacobian,
`(out, v, u, t, env)` for its vector-Jacobian products. They have a module of their own, which lasts as long as Julia.
"""
function compile(source::AbstractString, type::AbstractString, signatures)
    home = Module(:Translated)
    for part in (Kernels, Written), name in names(part)
        name === nameof(part) || Core.eval(home, :(const $name = $(getfield(part, name))))
    end
    Core.eval(home, Meta.parseall(source))
    return [address(home, Symbol(name), float_type(type), Int(vectors)) for (name, vectors) in signatures]
end

"""
Have compiled dynamics multiply large matrices by the functions at these addresses: BLAS's `dgemm` and `sgemm` with
integers of 64 bits, and one that limits their threads in its own and returns what the limit was. Returns whether they
are fit for it.
"""
use_products(dgemm, sgemm, set_threads) = Kernels.use_products(map(pointer_at, (dgemm, sgemm, set_threads))...)

"""The address of a function of so many vectors in `home`, by which Julia's half finds it too."""
function address(home::Module, name::Symbol, ::Type{T}, vectors::Int) where {T}
    types = Expr(:tuple, fill(Ptr{T}, vectors)..., Cdouble, Ptr{Int})
    found = Core.eval(home, :(@cfunction($name, Cint, $types)))
    TRANSLATIONS[found] = Core.eval(home, closing(name, T, vectors))
    return UInt(found)
end

"""
Call a translation, with its vectors, from outside of a solve. Unlike a call of its C function, an exception that it
throws arrives.
"""
function call_translation(address, out, vectors, t, env)
    found = TRANSLATIONS[pointer_at(address)]
    found(pointer_at(out), map(pointer_at, vectors)..., Float64(t), pointer_at(env))
    return nothing
end

"""Code of a closure that calls a translation."""
function closing(name::Symbol, ::Type{T}, vectors::Int) where {T}
    arrays = [Symbol(:array, i) for i in 1:vectors]
    arguments = Expr(:tuple, (:($array::Ptr{Cvoid}) for array in arrays)..., :(t::Float64), :(env::Ptr{Cvoid}))
    call = :($name($((:(Ptr{$T}($array)) for array in arrays)...), t, Ptr{Int}(env)))
    # Within a function, so that the closure is compiled and its return type known.
    return :((() -> Base.Experimental.@opaque($arguments -> $call))())
end

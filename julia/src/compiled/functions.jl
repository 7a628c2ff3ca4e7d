# Dynamics that were translated to Julia, as C functions.

"""
    compile(source, type, signatures)

The addresses of C functions that `source` defines under the names of `signatures`: `(out, u, t, env)` for a function
and its Jacobian, `(out, v, u, t, env)` for its vector-Jacobian products. They have a module of their own, which lasts
as long as Julia.
"""
function compile(source, type, signatures)
    code = GeneratedCode(source, type, signatures)
    functions = @something from_image(code) compile_anew(code)
    for (address, closure) in functions
        TRANSLATIONS[address] = closure
    end
    return [UInt(address) for (address, _) in functions]
end

"""Addresses of C functions, each with the closure by which Julia's half calls it."""
const Compiled = Vector{Tuple{Ptr{Cvoid}, Union{OneVector, TwoVectors}}}

function compile_anew(code::GeneratedCode)
    mod = Module(:Translated)
    functions = Base.invokelatest(define!(mod, code))::Compiled
    # What a user wrote in Julia has yet another module, which no image can hold. From Julia 1.12 on, the world that this
    # function was called in need not know what has been defined since.
    Base.invokelatest(isdefined, mod, :dynamics) || store(code)
    return functions
end

"""Define the functions of `code` in `mod`, and what this returns: one that returns them `Compiled`."""
function define!(mod::Module, code::GeneratedCode)
    for part in (Kernels, JuliaDynamics), name in names(part)
        name === nameof(part) || Core.eval(mod, :(const $name = $(getfield(part, name))))
    end
    Core.eval(mod, Meta.parseall(code.source))
    T = float_type(code.type)
    pairs = [
        :($(cfunction_code(name, T, vectors)), $(closure_code(name, T, vectors))) for (name, vectors) in code.signatures
    ]
    return Core.eval(mod, :(functions() = $(eltype(Compiled))[$(pairs...)]))
end

"""
Have compiled dynamics multiply large matrices by the functions at these addresses: BLAS's `dgemm` and `sgemm` with
integers of 64 bits, and one that limits their threads in its own and returns what the limit was. Returns whether they
are fit for it.
"""
use_products(dgemm, sgemm, set_threads) = Kernels.use_products(map(pointer_at, (dgemm, sgemm, set_threads))...)

"""What a function of so many vectors takes."""
argument_types(::Type{T}, vectors::Int) where {T} = (fill(Ptr{T}, vectors)..., Cdouble, Ptr{Int})

"""Code of the address of a function of so many vectors."""
cfunction_code(name::Symbol, type, vectors) = :(@cfunction($name, Cint, $(Expr(:tuple, argument_types(type, vectors)...))))

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
function closure_code(name::Symbol, ::Type{T}, vectors::Int) where {T}
    arrays = [Symbol(:array, i) for i in 1:vectors]
    arguments = Expr(:tuple, (:($array::Ptr{Cvoid}) for array in arrays)..., :(t::Float64), :(env::Ptr{Cvoid}))
    call = :($name($((:(Ptr{$T}($array)) for array in arrays)...), t, Ptr{Int}(env)))
    return :(Base.Experimental.@opaque($arguments -> $call))
end

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

function compile_anew(code::GeneratedCode)
    mod = Module(:Translated)
    functions = Base.invokelatest(define!(mod, code, (Kernels, JuliaDynamics)))::Compiled
    # What a user wrote in Julia has yet another module, which no image can hold. From Julia 1.12 on, the world that this
    # function was called in need not know what has been defined since.
    Base.invokelatest(isdefined, mod, :dynamics) || store(code)
    return functions
end

"""
Have compiled dynamics multiply large matrices by the functions at these addresses: BLAS's `dgemm` and `sgemm` with
integers of 64 bits, and one that limits their threads in its own and returns what the limit was. Returns whether they
are fit for it.
"""
use_products(dgemm, sgemm, set_threads) = Kernels.use_products(map(pointer_at, (dgemm, sgemm, set_threads))...)

"""
Call a translation, with its vectors, from outside of a solve. Unlike a call of its C function, an exception that it
throws arrives.
"""
function call_translation(address, out, vectors, t, env)
    found = TRANSLATIONS[pointer_at(address)]
    found(pointer_at(out), map(pointer_at, vectors)..., Float64(t), pointer_at(env))
    return nothing
end

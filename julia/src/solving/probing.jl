# Solvers run on an equation of Julia's, to see what they do.

"""Held while what was seen is looked up or found out: solves run on several threads."""
const PROBING = ReentrantLock()

"""
The equation `u' = f` of `n` numbers, where `f(du, u, t)` is Julia's; of the types of all others, so that it compiles once.
"""
function trial_equation(f, n)
    unused = two_vectors(0)
    return Ordinary(Callbacks(trial_function(f, n), unused, unused, one_vector(0)))
end

"""A function of Julia's, `f(out, u, t)` of `n` numbers, as a C function."""
function trial_function(f, n)
    called = Base.Experimental.@opaque function (out::Ptr{Cvoid}, u::Ptr{Cvoid}, t::Float64, env::Ptr{Cvoid})
        f(unsafe_wrap(Array, Ptr{Float64}(out), n), unsafe_wrap(Array, Ptr{Float64}(u), n), t)
        return Cint(0)
    end
    return CFunction{OneVector}(called, C_NULL)
end

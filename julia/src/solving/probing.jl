# Solvers run on an equation of Julia's, to see what they do.

"""Held while what was seen is looked up or found out: solves run on several threads."""
const PROBING = ReentrantLock()

"""
The equation `u' = f` of `n` numbers, where `f(du, u, t)` is Julia's; of the types of all others, so that it compiles once.
"""
function trial_equation(f, n)
    rhs = Base.Experimental.@opaque function (du::Ptr{Cvoid}, u::Ptr{Cvoid}, t::Float64, env::Ptr{Cvoid})
        f(unsafe_wrap(Array, Ptr{Float64}(du), n), unsafe_wrap(Array, Ptr{Float64}(u), n), t)
        return Cint(0)
    end
    unused = two_vectors(0)
    return Ordinary(Callbacks(CFunction{OneVector}(rhs, C_NULL), unused, unused, one_vector(0)))
end

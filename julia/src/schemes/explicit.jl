# Explicit Runge-Kutta methods.

struct Explicit <: Scheme
    tableau::Tableau
    order::Int
end

struct ExplicitMemory{U}
    k::Vector{U}
    u::U
end

memory(scheme::Explicit, u) = ExplicitMemory([zero(u) for _ in scheme.tableau.b], zero(u))

"""
    advance!(out, scheme, memory, dynamics, u, step)

Write the state after a step from `u` to `out`, where `dynamics(du, u, t)` writes the derivative. Returns whether the
equations of the step were solved.
"""
function advance!(out, scheme::Explicit, memory::ExplicitMemory, dynamics, u, step::Step)
    (; A, b, c) = scheme.tableau
    (; k) = memory
    h = step.stop - step.start
    for i in eachindex(b)
        add_stages!(memory.u, u, h, view(A, i, 1:(i - 1)), k)
        dynamics(k[i], memory.u, time_at(step, c[i], eltype(u)))
    end
    add_stages!(out, u, h, b, k)
    return true
end

"""Write `u + h Σ weights[j] k[j]`."""
function add_stages!(out, u, h, weights, k)
    T = real_type(eltype(u))
    copyto!(out, u)
    for (weight, stage) in zip(weights, k)
        iszero(weight) || (out .+= T(h * weight) .* stage)
    end
    return out
end

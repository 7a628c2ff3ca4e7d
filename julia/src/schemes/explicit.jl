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

"""Be as for a first step, which is to be within the tolerances where it is iterated."""
begin_anew!(memory; tolerances...) = nothing

"""How many steps were not within them."""
unconverged(memory) = 0

"""
    advance!(out, scheme, memory, dynamics, u, step)

Write the state after a step from `u` to `out`, where `dynamics(du, u, t)` writes the derivative. Returns whether the
equations of the step were solved.
"""
function advance!(out, scheme::Explicit, memory::ExplicitMemory, dynamics, u, step::Step)
    dynamics(memory.k[1], u, time_at(step, 0, eltype(u)))
    return advance_from_first!(out, scheme, memory, dynamics, u, step)
end

"""The same where the derivative at the start is known already."""
function advance_from_first!(out, scheme::Explicit, memory::ExplicitMemory, dynamics, u, step::Step)
    (; A, b, c) = scheme.tableau
    (; k) = memory
    h = step.stop - step.start
    for i in 2:length(b)
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
        iszero(weight) || add_scaled!(out, T(h * weight), stage)
    end
    return out
end

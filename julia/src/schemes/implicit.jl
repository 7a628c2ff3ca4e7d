# Implicit Runge-Kutta methods, whose stages are solved for by Newton's method.

struct Implicit <: Scheme
    tableau::Tableau
    order::Int
    max_iters::Int
end

"""Derivatives at the stages, the states there, and the Jacobians."""
struct ImplicitMemory{T}
    k::Vector{Vector{T}}
    u::Vector{Vector{T}}
    jacobians::Vector{Matrix{T}}
    value::Vector{T}
end

function memory(scheme::Implicit, u::Vector{T}) where {T}
    n, stages = length(u), eachindex(scheme.tableau.b)
    return ImplicitMemory{T}([zero(u) for _ in stages], [zero(u) for _ in stages], [zeros(T, n, n) for _ in stages], zero(u))
end

function advance!(out, scheme::Implicit, memory::ImplicitMemory, dynamics, u, step::Step)
    (; A, b) = scheme.tableau
    dynamics(memory.k[1], u, time_at(step, 0, eltype(u)))
    foreach(k -> copyto!(k, memory.k[1]), memory.k)
    for together in coupled(A)
        solve_stages!(scheme, memory, dynamics, u, step, together) || return false
    end
    add_stages!(out, u, step.stop - step.start, b, memory.k)
    return true
end

"""The stages that are solved for together: one after another where none needs a later one."""
coupled(A) = all(iszero(A[i, j]) for i in axes(A, 1) for j in (i + 1):size(A, 2)) ? [i:i for i in axes(A, 1)] : [axes(A, 1)]

"""Newton's method for some stages' derivatives, to the last correction that matters; returns whether it converged."""
function solve_stages!(scheme, memory, dynamics, u, step, together)
    (; A) = scheme.tableau
    (; k) = memory
    h = step.stop - step.start
    explicit = all(iszero, view(A, together, together))
    for _ in 1:scheme.max_iters
        residual = residuals!(memory, scheme.tableau, dynamics, u, step, together, !explicit)
        system = lu!(stage_matrix(A, memory.jacobians, h, together); check = false)
        issuccess(system) && all(isfinite, residual) || return false
        ldiv!(system, residual)
        for (i, correction) in zip(together, eachcol(reshape(residual, length(u), :)))
            k[i] .-= correction
        end
        size = max(maximum(abs, u), abs(h) * maximum(i -> maximum(abs, k[i]), together))
        explicit || abs(h) * maximum(abs, residual) <= last_correction(eltype(u)) * size || continue
        return true
    end
    return false
end

"""Of a size that its square is beyond all digits: with it, Newton's method is done."""
last_correction(::Type{T}) where {T} = sqrt(eps(T)) / 100

"""By how much the stages' derivatives differ from those of the dynamics there, whose Jacobians are written if wanted."""
function residuals!(memory, tableau, dynamics, u::Vector{T}, step, together, wants_jacobians) where {T}
    (; A, c) = tableau
    residual = similar(u, length(u) * length(together))
    for (i, part) in zip(together, eachcol(reshape(residual, length(u), :)))
        t = time_at(step, c[i], T)
        add_stages!(memory.u[i], u, step.stop - step.start, view(A, i, :), memory.k)
        dynamics(memory.value, memory.u[i], t)
        part .= memory.k[i] .- memory.value
        wants_jacobians && jacobian!(memory.jacobians[i], dynamics, memory.u[i], t)
    end
    return residual
end

"""The matrix with the blocks `δ[i, j] I - h A[i, j] J[i]`."""
function stage_matrix(A, jacobians, h, together)
    n, T = size(first(jacobians), 1), eltype(first(jacobians))
    matrix = Matrix{T}(I, n * length(together), n * length(together))
    for (row, i) in enumerate(together), (column, j) in enumerate(together)
        iszero(A[i, j]) && continue
        view(matrix, block(row, n), block(column, n)) .-= T(h * A[i, j]) .* jacobians[i]
    end
    return matrix
end

block(number, n) = ((number - 1) * n + 1):(number * n)

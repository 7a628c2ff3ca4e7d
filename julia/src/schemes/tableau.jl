# Runge-Kutta methods by their numbers.

"""
A Runge-Kutta method: stage `i` is the derivative at `t + c[i] h` and `u + h Σ A[i, j] k[j]`, a step is `h Σ b[i] k[i]`.
"""
struct Tableau
    A::Matrix{Float64}
    b::Vector{Float64}
    c::Vector{Float64}
end

"""A tableau from what Python passes: a row of weights for each stage, those of the step, and the nodes."""
function tableau_of(rows, b, c)
    A = Float64[row[j] for row in rows, j in 1:length(b)]
    return Tableau(A, Float64[weight for weight in b], Float64[node for node in c])
end

"""Whether each stage needs those before it alone."""
is_explicit(A, stages) = all(iszero(A[i, j]) for i in 1:stages for j in i:size(A, 2))

"""
A solver with Julia's error control for an explicit tableau with weights of an error estimate. The last stage is the
derivative at the step's end where it has the step's own weights.
"""
function embedded_pair(rows, b, c, error, order)
    tableau = tableau_of(rows, b, c)
    fsal = iszero(tableau.b[end]) && tableau.A[end, :] == tableau.b
    return ExplicitRK(
        OrdinaryDiffEqExplicitRK.DiffEqBase.ExplicitRKTableau(
            tableau.A, tableau.c, tableau.b, Int(order);
            αEEst = tableau.b .- Float64[weight for weight in error], adaptiveorder = Int(order) - 1, fsal
        )
    )
end

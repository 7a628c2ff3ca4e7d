# Gradients where a mass matrix is singular otherwise than by rows and columns of zeros, which is all that adjoints of
# SciMLSensitivity 7.118 know: of `[1 1; 0 0]` they were seen to give twice the gradient, without a word. Along its principal
# axes, `M = U S Vᵀ` with `u = V z`, the equation is `S z' = Uᵀ f(V z, t)`, whose mass matrix is diagonal.

struct AxesSlope{F, T}
    f::F
    svd::SVD{T, T, Matrix{T}, Vector{T}}
end
struct AxesVJP{F, T}
    f::F
    svd::SVD{T, T, Matrix{T}, Vector{T}}
end
struct AxesParameterVJP{F, T}
    f::F
    svd::SVD{T, T, Matrix{T}, Vector{T}}
end
struct AxesJacobian{F, T}
    f::F
    svd::SVD{T, T, Matrix{T}, Vector{T}}
end

function (axes::AxesSlope)(dz, z, p, t)
    slope, (; U, V) = similar(z), axes.svd
    axes.f(slope, V * z, p, t)
    mul!(dz, U', slope)
    return nothing
end

function (axes::AxesVJP)(out, v, z, p, t)
    product, (; U, V) = similar(z), axes.svd
    axes.f.vjp(product, U * v, V * z, p, t)
    mul!(out, V', product)
    return nothing
end

function (axes::AxesParameterVJP)(out, v, z, p, t)
    (; U, V) = axes.svd
    axes.f.vjp_p(out, U * v, V * z, p, t)
    return nothing
end

function (axes::AxesJacobian)(J, z, p, t)
    (; U, V) = axes.svd
    axes.f.jac(J, V * z, p, t)
    J .= U' * J * V
    return nothing
end

"""Whether rows and columns of zeros, the same ones, are all that makes a matrix singular."""
function is_semi_explicit(matrix)
    rows, columns = findall(!iszero, vec(any(!iszero, matrix; dims = 2))), findall(!iszero, vec(any(!iszero, matrix; dims = 1)))
    return rows == columns && rank(matrix) == length(rows)
end

has_own_axes(::UniformScaling) = true
has_own_axes(mass_matrix) = is_semi_explicit(mass_matrix)

function gradients!(dy0, dp, solved::Solved{<:Ordinary}, grads, alg, sensealg; bounds...)
    has_own_axes(solved.equation.f.mass_matrix) || return along_axes!(dy0, dp, solved, grads, alg, sensealg; bounds...)
    return of_solution!(dy0, dp, solved, grads, alg, sensealg; bounds...)
end

function along_axes!(dy0, dp, solved, grads, alg, sensealg; bounds...)
    (; f) = solved.equation
    axes = svd(f.mass_matrix)
    lengths = [length > rank_tolerance(axes.S) ? length : zero(length) for length in axes.S]
    made = ODEFunction{true, SciMLBase.FullSpecialize}(
        AxesSlope(f, axes); vjp = AxesVJP(f, axes), vjp_p = AxesParameterVJP(f, axes), jac = AxesJacobian(f, axes),
        mass_matrix = Matrix(Diagonal(lengths))
    )
    t, dz0 = solved.t, zero(dy0)
    prob = ODEProblem{true}(made, axes.V' * state_at(solved.sol, t, 1), (t[1], t[end]), solved.p)
    sol = solved_again(prob, t, alg, sensealg; bounds...)
    found = backward!(dz0, dp, sol, axes.V' * grads, t, alg, sensealg; bounds...)
    mul!(dy0, axes.V, dz0)
    return found
end

rank_tolerance(sizes) = maximum(sizes) * length(sizes) * eps(eltype(sizes))

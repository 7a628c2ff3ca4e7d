# Gradients where a mass matrix is singular otherwise than by rows and columns of zeros, which is all that adjoints of
# SciMLSensitivity 7.118 know: of `[1 1; 0 0]` they were seen to give twice the gradient, without a word. Along its principal
# axes, `M = U S Vᵀ` with `u = V z`, the equation is `S z' = Uᵀ f(V z, t)`, whose mass matrix is diagonal.

"""The equation of `f` along the axes of its mass matrix, of which `lengths` are those."""
function along(f, axes::SVD, lengths)
    (; U, V) = axes
    of_u = zero(axes.S)

    function slope!(dz, z, p, t)
        f(of_u, V * z, p, t)
        mul!(dz, U', of_u)
        return nothing
    end

    function vjp!(out, v, z, p, t)
        f.vjp(of_u, U * v, V * z, p, t)
        mul!(out, V', of_u)
        return nothing
    end

    vjp_p!(out, v, z, p, t) = f.vjp_p(out, U * v, V * z, p, t)

    function jac!(J, z, p, t)
        f.jac(J, V * z, p, t)
        J .= U' * J * V
        return nothing
    end

    mass_matrix = Matrix(Diagonal(lengths))
    return ODEFunction{true, SciMLBase.FullSpecialize}(slope!; vjp = vjp!, vjp_p = vjp_p!, jac = jac!, mass_matrix)
end

"""Whether rows and columns of zeros, the same ones, are all that makes a matrix singular."""
function is_semi_explicit(matrix)
    isdiag(matrix) && return true # as most are, whose rank need not be computed at each gradient
    rows, columns = (findall(vec(any(!iszero, matrix; dims))) for dims in (2, 1))
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
    t, dz0 = solved.t, zero(dy0)
    prob = ODEProblem{true}(along(f, axes, lengths), axes.V' * state_at(solved.sol, t, 1), (t[1], t[end]), solved.p)
    sol = solved_again(prob, t, alg, sensealg; bounds...)
    found = backward!(dz0, dp, sol, axes.V' * grads, t, alg, sensealg; bounds...)
    mul!(dy0, axes.V, dz0)
    return found
end

rank_tolerance(sizes) = maximum(sizes) * length(sizes) * eps(eltype(sizes))

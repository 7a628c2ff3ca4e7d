# Gradients of residual equations `0 = F(u', u, t)` of index 1: those of the ordinary equation that they are. By the implicit
# function theorem, `F` determines the derivatives of the differential components, and the algebraic components, from the
# differential ones; the adjoint is then one over these alone (Cao, Li, Petzold and Serban 2003, "Adjoint sensitivity
# analysis for differential-algebraic equations", eliminate the same unknowns from theirs).

"""
    Implied(solved)

What a residual implies of its differential components `y`: the unknowns `x`, which are the algebraic components and then
the derivatives of the differential ones. `matrix` is `∂F/∂x`. Guesses come from the forward solution. The unknowns are NaN
where there are none, as at what a solver tries and then rejects.
"""
mutable struct Implied{T}
    const equation::Residual{T}
    const sol::SciMLBase.AbstractDAESolution # of any solver: what follows is compiled for all of them
    const differential::Vector{Int}
    const algebraic::Vector{Int}
    const u::Vector{T}
    const du::Vector{T}
    const value::Vector{T}
    const x::Vector{T}
    const y::Vector{T} # and `t`: where these are
    t::Float64
    matrix::LU{T, Matrix{T}, Vector{Int}}
    is_factorised::Bool
end

function Implied(solved::Solved{<:Residual{T}}) where {T}
    (; equation, sol) = solved
    n, flags = length(equation.differential), equation.differential
    vector() = zeros(T, n)
    factors = lu!(Matrix{T}(I, n, n))
    return Implied(
        equation, sol, findall(flags), findall(!, flags), vector(), vector(), vector(), vector(), fill(T(NaN), count(flags)),
        NaN, factors, false
    )
end

const NEWTON_ITERATIONS = 20

"""Find the unknowns at `y` and `t`, by Newton's method from the forward solution there."""
function imply!(implied::Implied{T}, y, t) where {T}
    implied.t == t && implied.y == y && return implied
    (; equation, sol, differential, algebraic, u, du, value, x) = implied
    implied.t, implied.is_factorised = NaN, false
    at = clamp(t, sol.t[1], sol.t[end])
    copyto!(u, sol(at))
    copyto!(du, sol(at, Val{1}))
    u[differential] .= y
    du[algebraic] .= 0
    x .= [u[algebraic]; du[differential]]
    for _ in 1:NEWTON_ITERATIONS
        equation.residual(value, du, u, nothing, t)
        issuccess(factorise!(implied, t)) || break
        step = implied.matrix \ value
        x .-= step
        u[algebraic] .= view(x, eachindex(algebraic))
        du[differential] .= view(x, (length(algebraic) + 1):length(x))
        if norm(step) <= sqrt(eps(T)) * norm(x) # and the error of what it led to is the square of that
            copyto!(implied.y, y)
            implied.t = t
            return implied
        end
    end
    fill!(x, NaN)
    return implied
end

"""The matrix at `u` and `du`, and beside it, within the equation's Jacobian, the derivative by `u`."""
function factorise!(implied::Implied, t)
    (; equation, differential, algebraic, u, du) = implied
    (; c_jacobian, both) = equation.jacobian
    call!(c_jacobian, both, du, u, t)
    implied.matrix = lu!([both[:, algebraic, 1] both[:, differential, 2]]; check = false)
    return implied.matrix
end

"""The derivatives of `F` at `y` and `t`: its matrix, and that by `y`."""
function linearised!(implied::Implied, y, t)
    imply!(implied, y, t)
    implied.is_factorised || factorise!(implied, t)
    implied.is_factorised = true
    return implied.matrix, view(implied.equation.jacobian.both, :, implied.differential, 1)
end

"""`w` with `wᵀ ∂F/∂x = vᵀ`, so that `vᵀ δx = -wᵀ δF`, for `v` by the unknowns."""
function weights(implied::Implied, v, y, t)
    matrix, _ = linearised!(implied, y, t)
    return issuccess(matrix) ? matrix' \ v : fill!(similar(v), NaN)
end

by_derivatives(implied::Implied, v) = [zeros(eltype(v), length(implied.algebraic)); v]

derivatives(implied::Implied) = view(implied.x, (length(implied.algebraic) + 1):length(implied.x))

"""Write the product of `w` with `∂F/∂p`, of which that with the times is zero."""
function parameter_product!(out, implied::Implied, w, y, t)
    imply!(implied, y, t)
    isempty(out) || call!(implied.equation.products.vjp_p, out, w, [implied.du; implied.u], t)
    return out
end

"""The ordinary equation `y' = f(y, t)` that is implied, with its products and its Jacobian."""
function implied_function(implied::Implied)
    slope!(dy, y, p, t) = copyto!(dy, derivatives(imply!(implied, y, t)))

    function vjp!(out, v, y, p, t)
        w = weights(implied, by_derivatives(implied, v), y, t)
        mul!(out, linearised!(implied, y, t)[2]', w, -1, 0)
        return nothing
    end

    function vjp_p!(out, v, y, p, t)
        w = weights(implied, by_derivatives(implied, v), y, t)
        out .= .-parameter_product!(out, implied, w, y, t)
        return nothing
    end

    function jac!(J, y, p, t)
        matrix, by_y = linearised!(implied, y, t)
        issuccess(matrix) || return fill!(J, NaN)
        solved = matrix \ Matrix(by_y)
        J .= .-view(solved, (length(implied.algebraic) + 1):size(solved, 1), :)
        return nothing
    end

    return ODEFunction{true, SciMLBase.FullSpecialize}(slope!; vjp = vjp!, vjp_p = vjp_p!, jac = jac!)
end

"""The gradients of the differential components and of the parameters, with those of the times behind them, if wanted."""
function gradients!(dy0, dp, solved::Solved{<:Residual{T}}, grads, alg, sensealg; bounds...) where {T}
    implied, (; t, p) = Implied(solved), solved
    (; differential) = implied
    of_times = view(dp, (length(dp) - solved.equation.products.times * length(t) + 1):length(dp))
    fill!(dp, 0)
    grads_y = zeros(T, length(differential), length(t))
    ys = [state_at(solved.sol, t, i)[differential] for i in eachindex(t)]
    for i in eachindex(t)
        grads_y[:, i] .= to_differential!(dp, of_times, implied, ys[i], t[i], i, view(grads, :, i))
    end
    prob = ODEProblem{true}(implied_function(implied), ys[1], (t[1], t[end]), p)
    sol = solved_again(prob, t, alg, sensealg; bounds...)
    dy, dq = zero(ys[1]), zero(dp)
    found = backward!(dy, dq, sol, grads_y, t, alg, sensealg; bounds...)
    fill!(dy0, 0)
    dy0[differential] .= dy
    dp .+= dq
    isempty(of_times) || (of_times[1] -= dot(dy .- view(grads_y, :, 1), derivatives(imply!(implied, ys[1], t[1]))))
    return found
end

"""
The gradient by the differential components of one by all of them: algebraic ones are functions of these, of the parameters
and of the time, whose gradients are added to `dp` and to the one with number `i` of the times.
"""
function to_differential!(dp, of_times, implied::Implied, y, t, i, grad)
    (; differential, algebraic) = implied
    w = weights(implied, [grad[algebraic]; zero(y)], y, t)
    _, by_y = linearised!(implied, y, t)
    grad_y = grad[differential] .- by_y' * w
    dp .-= parameter_product!(zero(dp), implied, w, y, t)
    isempty(of_times) && return grad_y
    by_time = zeros(eltype(y), 1)
    call!(implied.equation.products.vjp_t, by_time, w, [implied.du; implied.u], t)
    of_times[i] -= only(by_time)
    i == 1 || (of_times[i] += dot(grad_y, derivatives(implied)))
    return grad_y
end

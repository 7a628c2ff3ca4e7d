# Delay differential equations.

"""A right-hand side computed by a C function `(du, delayed, u, t)`, where `delayed` holds the states at all lags."""
struct DelayedRightHandSide{T}
    c_rhs::CFunction{TwoVectors}
    lags::Vector{T}
    delayed::Matrix{T}
end

function (f::DelayedRightHandSide)(du, u, h, p, t)
    for (column, lag) in zip(eachcol(f.delayed), f.lags)
        h(column, p, t - lag)
    end
    return call!(f.c_rhs, du, vec(f.delayed), u, t)
end

"""The states before the start, computed by a C function `(out, out, t)`."""
struct History{T}
    c_history::CFunction{OneVector}
    size::Int
end

(h::History)(out, p, t; idxs = nothing) = copyto!(out, h(p, t; idxs))

function (h::History{T})(p, t; idxs = nothing) where {T}
    out = zeros(T, h.size)
    call!(h.c_history, out, out, t)
    return idxs === nothing ? out : out[idxs]
end

"""
Products of the derivatives of a delay equation, as C functions. A `point` is the states at all lags and the state, one
after another:

  - `vjp(out, v, point, t)` writes `vᵀ ∂f/∂point`,
  - `vjp_p(out, v, point, t)` writes `vᵀ ∂f/∂p`,
  - `history_vjp_p(out, v, u, t)` writes `vᵀ ∂φ/∂p` of the history `φ`, whatever `u` is,
  - `history_vjp_t(out, v, t)` writes the number `vᵀ φ'`.

Of the parameters that gradients are wanted of, the last are the `lags`, and then the `times`, if they are among them.
"""
struct DelayProducts
    vjp::CFunction{TwoVectors}
    vjp_p::CFunction{TwoVectors}
    history_vjp_p::CFunction{TwoVectors}
    history_vjp_t::CFunction{OneVector}
    lags::Bool
    times::Bool
end

"""
`u' = rhs(u, u(t - lags[1]), u(t - lags[2]), ..., t)`; `f` is the right-hand side as SciML has it, and `products` are nothing
where no gradient is wanted.
"""
struct Delayed{T, F <: DDEFunction} <: Equation
    f::F
    rhs::DelayedRightHandSide{T}
    history::History{T}
    products::Union{Nothing, DelayProducts}
end

Delayed(rhs, history, products = nothing) =
    Delayed(DDEFunction{true, SciMLBase.FullSpecialize}(rhs), rhs, history, products)

# The time has the state's precision: with a time of Float64, a state of Float32 was seen to stay where it was.
function problem(equation::Delayed{T}, u0, p, tspan) where {T}
    return DDEProblem(equation.f, u0, equation.history, T.(tspan), p; constant_lags = equation.rhs.lags)
end

"""DelayDiffEq 6.0 reads the past from the saved values alone where the solution is not dense, and is wrong for DP5."""
only_dense(::Delayed) = true

"""A right-hand side and a history, each an address with its environment, and the four of `DelayProducts`, or none."""
function delayed_equation(rhs, type, n, lags, history, products = (), wants_lags = false, wants_times = false)
    T = float_type(type)
    return Delayed(
        DelayedRightHandSide(two_vectors(rhs...), T[lag for lag in lags], zeros(T, n, length(lags))),
        History{T}(one_vector(history...), n),
        isempty(products) ? nothing : delay_products(products..., wants_lags, wants_times)
    )
end

delay_products(vjp, vjp_p, history_vjp_p, history_vjp_t, lags, times) = DelayProducts(
    two_vectors(vjp...), two_vectors(vjp_p...), two_vectors(history_vjp_p...), one_vector(history_vjp_t...), lags, times
)

# Differential-algebraic equations in residual form.

"""A residual computed by a C function `(out, du, u, t)`."""
struct ResidualFunction
    c_residual::CFunction{TwoVectors}
end

(f::ResidualFunction)(out, du, u, p, t) = call!(f.c_residual, out, du, u, t)

"""Both Jacobians of a residual, side by side, by a C function `(out, du, u, t)`: `∂F/∂u`, then `∂F/∂u'`."""
struct ResidualJacobian{T}
    c_jacobian::CFunction{TwoVectors}
    both::Array{T, 3}
end

function (f::ResidualJacobian)(J, du, u, p, gamma, t)
    call!(f.c_jacobian, f.both, du, u, t)
    J .= view(f.both, :, :, 1) .+ gamma .* view(f.both, :, :, 2)
    return nothing
end

"""
Products of the derivatives of a residual, as C functions: `vjp_p(out, v, [u'; u], t)` writes `vᵀ ∂F/∂p`, and `vjp_t`
the number `vᵀ ∂F/∂t`. Of the parameters that gradients are wanted of, the last are the `times`, if they are among them.
"""
struct ResidualProducts
    vjp_p::CFunction{TwoVectors}
    vjp_t::CFunction{TwoVectors}
    times::Bool
end

"""
`0 = F(u', u, t)`, with the derivative at the start and which components have one in `F`; `products` are nothing where no
gradient is wanted.
"""
struct Residual{T} <: Equation
    residual::ResidualFunction
    jacobian::ResidualJacobian{T}
    du0::Vector{T}
    differential::Vector{Bool}
    products::Union{Nothing, ResidualProducts}
end

function problem(equation::Residual, u0, p, tspan)
    f = DAEFunction{true, SciMLBase.FullSpecialize}(equation.residual; jac = equation.jacobian)
    return DAEProblem(f, equation.du0, u0, tspan, p; differential_vars = equation.differential)
end

"""The algebraic components and the derivatives at the start follow from the differential components."""
options(::Residual) = (; initializealg = OrdinaryDiffEqCore.BrownFullBasicInit())

function residual_equation(residual, jacobian, type, n, dy0, differential, products = (), wants_times = false)
    T = float_type(type)
    return Residual(
        ResidualFunction(two_vectors(residual...)), ResidualJacobian(two_vectors(jacobian...), zeros(T, n, n, 2)),
        copy(array(T, dy0, n)), Bool[flag for flag in differential],
        isempty(products) ? nothing : ResidualProducts(map(product -> two_vectors(product...), products)..., wants_times)
    )
end

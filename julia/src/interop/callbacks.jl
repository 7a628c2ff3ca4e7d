# The dynamics, and what a solver asks about a state, as C functions.

"""
    Callbacks(rhs, vjp, vjp_p, jacobian)

C functions that return 0 on success:

  - `rhs(du, u, t)` writes the derivative,
  - `vjp(out, v, u, t)` writes `vᵀ ∂f/∂u`,
  - `vjp_p(out, v, u, t)` writes `vᵀ ∂f/∂p`,
  - `jacobian(J, u, t)` writes `∂f/∂u` in column-major order; of a sparse one, the entries of its pattern.
"""
struct Callbacks
    c_rhs::CFunction{OneVector}
    c_vjp::CFunction{TwoVectors}
    c_vjp_p::CFunction{TwoVectors}
    c_jacobian::CFunction{OneVector}
end

"""Dynamics with their products and their Jacobian, at four addresses; see `Callbacks`."""
callbacks(pointers, envs = (0, 0, 0, 0)) =
    Callbacks(map((made, address, env) -> made(address, env), FUNCTIONS, Tuple(pointers), Tuple(envs))...)

const FUNCTIONS = (one_vector, two_vectors, two_vectors, one_vector)

struct RightHandSide
    c_rhs::CFunction{OneVector}
end

"""Half of a partitioned right-hand side: a C function `(out, v, q, t)`."""
struct Half
    c_half::CFunction{TwoVectors}
end

struct VJP
    c_vjp::CFunction{TwoVectors}
end

struct ParameterVJP
    c_vjp_p::CFunction{TwoVectors}
end

struct Jacobian
    c_jacobian::CFunction{OneVector}
end

(f::RightHandSide)(du, u, p, t) = call!(f.c_rhs, du, u, t)
(f::Half)(out, v::AbstractArray, q, p, t) = call!(f.c_half, out, v, q, t)
(f::VJP)(out, v, u, p, t) = call!(f.c_vjp, out, v, u, t)
(f::ParameterVJP)(out, v, u, p, t) = call!(f.c_vjp_p, out, v, u, t)
(f::Jacobian)(J, u, p, t) = call!(f.c_jacobian, J, u, t)
(f::Jacobian)(J::SparseMatrixCSC, u, p, t) = call!(f.c_jacobian, nonzeros(J), u, t)

"""The `ODEFunction` of `callbacks`; the solver's own sparsity and autodiff machinery is left out of it."""
function ode_function(callbacks::Callbacks, mass_matrix = I, jac_prototype = nothing)
    return ODEFunction{true, SciMLBase.FullSpecialize}(
        RightHandSide(callbacks.c_rhs);
        vjp = VJP(callbacks.c_vjp), vjp_p = ParameterVJP(callbacks.c_vjp_p), jac = Jacobian(callbacks.c_jacobian),
        jac_prototype, mass_matrix
    )
end

"""
A yes-or-no question about a state: asked of a C function `(u, t)` that returns 0 or 1, or -1 on failure, or, where that is
null, of a compiled one that writes 0 or 1.
"""
struct Predicate
    c_predicate::Ptr{Cvoid}
    c_value::CFunction{OneVector}
end

Predicate(c_predicate::Ptr) = Predicate(c_predicate, one_vector(0))

"""By its address, and the environment of a compiled one, or 0."""
predicate(address, env) = iszero(env) ? Predicate(pointer_at(address)) : Predicate(C_NULL, one_vector(address, env))

function (f::Predicate)(u::Dense{T}, p, t) where {T <: Union{Float32, Float64}}
    f.c_predicate == C_NULL && return computed(f.c_value, u, t)
    answer = GC.@preserve u begin
        address, state, time = f.c_predicate, pointer(u), Float64(t)
        gc_safe(() -> ccall(address, Cint, (Ptr{T}, Cdouble), state, time))
    end
    answer < 0 && throw(CallbackError())
    return !iszero(answer)
end

function computed(c_value, u::Dense{T}, t) where {T}
    answer = zeros(T, 1)
    call!(c_value, answer, u, t)
    return !iszero(answer[1])
end

struct UnstableCheck
    predicate::Predicate
end

(f::UnstableCheck)(dt, u, p, t) = f.predicate(u, p, t)

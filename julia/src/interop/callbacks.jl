# The dynamics as C function pointers. One concrete type serves every Python function, so that nothing is compiled
# anew for another model; arrays cross the border as pointers, without copies.

"""Takes where to write, one vector, the time and an environment, and returns 0 on success."""
const OneVector = Core.OpaqueClosure{Tuple{Ptr{Cvoid}, Ptr{Cvoid}, Float64, Ptr{Cvoid}}, Cint}

"""Takes where to write, two vectors, the time and an environment, and returns 0 on success."""
const TwoVectors = Core.OpaqueClosure{Tuple{Ptr{Cvoid}, Ptr{Cvoid}, Ptr{Cvoid}, Float64, Ptr{Cvoid}}, Cint}

"""
A C function with the environment that it takes last: a Python callback, which makes nothing of it, or a translation of
the dynamics, which finds its parameters there. A translation is called without the detour by its C function, which
would take longer than small dynamics. The null address stands for what nobody is to call.
"""
struct CFunction{C <: Union{OneVector, TwoVectors}}
    call::C
    env::Ptr{Cvoid}
end

"""Translations by the addresses of their C functions."""
const TRANSLATIONS = Dict{Ptr{Cvoid}, Union{OneVector, TwoVectors}}()

closure(::Type{C}, address) where {C} = get(() -> calling(C, address), TRANSLATIONS, address)::C

calling(::Type{OneVector}, address) = Base.Experimental.@opaque(
    function (out::Ptr{Cvoid}, u::Ptr{Cvoid}, t::Float64, env::Ptr{Cvoid})
        f = prepared(address)
        return outside() do
            ccall(f, Cint, (Ptr{Cvoid}, Ptr{Cvoid}, Cdouble, Ptr{Cvoid}), out, u, t, env)
        end
    end
)

calling(::Type{TwoVectors}, address) = Base.Experimental.@opaque(
    function (out::Ptr{Cvoid}, v::Ptr{Cvoid}, u::Ptr{Cvoid}, t::Float64, env::Ptr{Cvoid})
        f = prepared(address)
        return outside() do
            ccall(f, Cint, (Ptr{Cvoid}, Ptr{Cvoid}, Ptr{Cvoid}, Cdouble, Ptr{Cvoid}), out, v, u, t, env)
        end
    end
)

function prepared(address)
    address == C_NULL && error("a solver asked for a derivative of the dynamics that was not prepared for it")
    return address
end

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

# Arrays whose elements lie one after another in memory may cross as pointers.
const Dense{T} = Union{Array{T}, SubArray{T, 1, <:Array{T}, <:Tuple{AbstractUnitRange}, true}}

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
(f::Half)(out, v, q, p, t) = call!(f.c_half, out, v, q, t)
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

"""A yes-or-no question about a state, answered by a C function `(u, t)` that returns 0 or 1, or -1 on failure."""
struct Predicate
    c_predicate::Ptr{Cvoid}
end

function (f::Predicate)(u::Dense{T}, p, t) where {T <: Union{Float32, Float64}}
    answer = GC.@preserve u begin
        address, state, time = f.c_predicate, pointer(u), Float64(t)
        outside(() -> ccall(address, Cint, (Ptr{T}, Cdouble), state, time))
    end
    answer < 0 && throw(CallbackError())
    return !iszero(answer)
end

struct UnstableCheck
    predicate::Predicate
end

(f::UnstableCheck)(dt, u, p, t) = f.predicate(u, p, t)

function call!(
        f::CFunction{OneVector}, out::Dense{T}, u::Dense{T}, t::Real
    ) where {T <: Union{Float32, Float64}}
    GC.@preserve out u begin
        status = f.call(Ptr{Cvoid}(pointer(out)), Ptr{Cvoid}(pointer(u)), Float64(t), f.env)
    end
    iszero(status) || throw(CallbackError())
    return nothing
end

function call!(
        f::CFunction{TwoVectors}, out::Dense{T}, v::Dense{T}, u::Dense{T}, t::Real
    ) where {T <: Union{Float32, Float64}}
    GC.@preserve out v u begin
        status = f.call(
            Ptr{Cvoid}(pointer(out)), Ptr{Cvoid}(pointer(v)), Ptr{Cvoid}(pointer(u)), Float64(t), f.env
        )
    end
    iszero(status) || throw(CallbackError())
    return nothing
end

# Any other real array is copied across.
function call!(f::CFunction, out::AbstractArray{T}, inputs_and_time...) where {T <: Union{Float32, Float64}}
    dense = Array{T}(undef, size(out))
    inputs = map(x -> x isa AbstractArray ? convert(Array{T}, x) : x, inputs_and_time)
    call!(f, dense, inputs...)
    copyto!(out, dense)
    return nothing
end

function call!(::CFunction, out::AbstractArray, inputs_and_time...)
    throw(
        UnsupportedError(
            "The dynamics are a Python callback, which takes real numbers, but were called with " *
                "$(eltype(out)): choose `autodiff=AutoFiniteDiff()` (the default) and an adjoint such as " *
                "InterpolatingAdjoint."
        )
    )
end

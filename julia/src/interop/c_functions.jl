# C functions that write into memory: callbacks into Python, and translations. One concrete type serves them all, so that
# nothing is compiled anew for another model; arrays cross as pointers, without copies.

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

one_vector(address, env = 0) = CFunction(closure(OneVector, pointer_at(address)), pointer_at(env))
two_vectors(address, env = 0) = CFunction(closure(TwoVectors, pointer_at(address)), pointer_at(env))

calling(::Type{OneVector}, address) = Base.Experimental.@opaque(
    function (out::Ptr{Cvoid}, u::Ptr{Cvoid}, t::Float64, env::Ptr{Cvoid})
        f = prepared(address)
        return gc_safe() do
            ccall(f, Cint, (Ptr{Cvoid}, Ptr{Cvoid}, Cdouble, Ptr{Cvoid}), out, u, t, env)
        end
    end
)

calling(::Type{TwoVectors}, address) = Base.Experimental.@opaque(
    function (out::Ptr{Cvoid}, v::Ptr{Cvoid}, u::Ptr{Cvoid}, t::Float64, env::Ptr{Cvoid})
        f = prepared(address)
        return gc_safe() do
            ccall(f, Cint, (Ptr{Cvoid}, Ptr{Cvoid}, Ptr{Cvoid}, Cdouble, Ptr{Cvoid}), out, v, u, t, env)
        end
    end
)

function prepared(address)
    address == C_NULL && error("a solver asked for a derivative of the dynamics that was not prepared for it")
    return address
end

# Arrays whose elements lie one after another in memory may cross as pointers.
const Dense{T} = Union{Array{T}, SubArray{T, 1, <:Array{T}, <:Tuple{AbstractUnitRange}, true}}

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
call!(f::CFunction{OneVector}, out::AbstractArray{T}, u::AbstractArray, t::Real) where {T <: Union{Float32, Float64}} =
    call_with_copies!(f, out, t, u)

function call!(
        f::CFunction{TwoVectors}, out::AbstractArray{T}, v::AbstractArray, u::AbstractArray, t::Real
    ) where {T <: Union{Float32, Float64}}
    return call_with_copies!(f, out, t, v, u)
end

function call_with_copies!(f, out::AbstractArray{T}, t, inputs...) where {T}
    dense = Array{T}(undef, size(out))
    call!(f, dense, map(Array{T}, inputs)..., t)
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

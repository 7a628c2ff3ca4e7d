"""
Dynamics that a user wrote in Julia: what their C functions, whose text the Python half makes, call. Unlike other
translations they may throw.
"""
module JuliaDynamics

using ForwardDiff: ForwardDiff
using LinearAlgebra: LinearAlgebra, mul!
using ..PyODEBridge: PyODEBridge, WrongDynamicsError

export Borrowed, from_source, value!, pull_back!, jacobian!

"""Memory of the caller as an array, made without an allocation."""
struct Borrowed{T, N} <: DenseArray{T, N}
    pointer::Ptr{T}
    size::NTuple{N, Int}
end

Base.size(array::Borrowed) = array.size
Base.IndexStyle(::Type{<:Borrowed}) = IndexLinear()
Base.strides(array::Borrowed) = Base.size_to_strides(1, array.size...)
Base.elsize(::Type{<:Borrowed{T}}) where {T} = sizeof(T)
Base.unsafe_convert(::Type{Ptr{T}}, array::Borrowed{T}) where {T} = array.pointer

Base.@propagate_inbounds function Base.getindex(array::Borrowed, i::Int)
    @boundscheck checkbounds(array, i)
    return unsafe_load(array.pointer, i)
end

Base.@propagate_inbounds function Base.setindex!(array::Borrowed, x, i::Int)
    @boundscheck checkbounds(array, i)
    unsafe_store!(array.pointer, x, i)
    return array
end

"""A function `f(u, p, t)` that returns the derivative."""
struct Returning{F}
    f::F
end

"""A function `f(du, u, p, t)` that writes the derivative."""
struct Writing{F}
    f::F
end

const FROM_SOURCE = Dict{String, Union{Returning, Writing}}()

"""The function that is the last value of `source`, evaluated once in a module of its own."""
from_source(source::String) = get!(() -> evaluate(source), FROM_SOURCE, source)

function evaluate(source)
    mod = Module(:JuliaDynamics)
    Core.eval(mod, :(const LinearAlgebra = $LinearAlgebra))
    Core.eval(mod, :(using .LinearAlgebra))
    f = try
        include_string(mod, source, "JuliaDynamics")
    catch err
        cause = err isa LoadError ? err.error : err
        throw(WrongDynamicsError("its source does not evaluate: " * sprint(showerror, cause)))
    end
    three, four = method_of(f, 3), method_of(f, 4)
    isnothing(three) && isnothing(four) && throw(
        WrongDynamicsError(
            "the last value of its source is $(repr(f)); expected a function f(u, p, t) that returns the derivative, " *
                "or f(du, u, p, t) that writes it."
        )
    )
    writes(three, four) && return Writing(f)
    PyODEBridge.load_extension() # whose method differentiates it
    return Returning(f)
end

"""The first method of `f` that takes so many arguments, or nothing."""
function method_of(f, number)
    found = filter(method -> method.nargs - 1 == number, collect(methods(f)))
    return isempty(found) ? nothing : first(found)
end

"""Whether the derivative is written by a method of four arguments, rather than returned by one of three."""
function writes(three, four)
    isnothing(three) && return true
    isnothing(four) && return false
    (three.file, three.line) == (four.file, four.line) || return true
    # One definition of which the last argument has a default: `f(u, p, t, more = 1)`, or `f(du, u, p, t = 0)`.
    place = findfirst(==(:t), Base.method_argnames(four))
    place == 4 && return false # the first is the function itself
    place == 5 && return true
    throw(
        WrongDynamicsError(
            "its last argument has a default, so that it takes three arguments and four, and neither the third nor " *
                "the fourth is named t; expected a function f(u, p, t) that returns the derivative, or " *
                "f(du, u, p, t) that writes it."
        )
    )
end

"""Write the derivative at `u` to `du`; `sign` is that of the time's direction."""
function value!(du, dynamics, u, p, t, sign)
    evaluate!(du, dynamics, u, p, t)
    sign < 0 && (du .= .-du)
    return nothing
end

# What is not written is no number.
evaluate!(du, dynamics::Writing, u, p, t) = dynamics.f(fill!(du, NaN), u, p, t)
evaluate!(du, dynamics::Returning, u, p, t) = fill_with!(du, checked(dynamics.f(u, p, t), u))

checked(value::AbstractArray{<:Number}, u) = size(value) == size(u) ? value : refuse_value(value, u)
checked(value, u) = refuse_value(value, u)

function refuse_value(value, u)
    found = value isa AbstractArray ? "an array of size $(size(value))" : "a $(typeof(value))"
    throw(WrongDynamicsError("it returned $found; expected an array of numbers of size $(size(u)), as u has."))
end

"""
Write the product of `v` with the derivative of the dynamics by the state to `to_u`, unless its pointer is null, and add
those by the parameters to `to_p`, which has the shape of `p` but for what is not wanted. What returns the derivative,
Zygote differentiates, by a method of the extension.
"""
function pull_back! end

# What writes into an array, Zygote does not differentiate.
function pull_back!(to_u, to_p, v, dynamics::Writing, u, p, t, sign)
    seed = vec(sign .* v)
    if to_u.pointer != C_NULL
        along_u = ForwardDiff.jacobian((du, u) -> dynamics.f(du, u, p, t), own(u), own(u))
        mul!(vec(to_u), along_u', seed)
    end
    for (target, array, put) in wanted(to_p, p)
        function along!(du, x)
            dynamics.f(du, u, put(x), t)
            return du
        end
        along_p = ForwardDiff.jacobian(along!, own(u), array)
        mul!(vec(target), along_p', seed, 1, 1)
    end
    return nothing
end

"""Each part of `p` that is wanted: where to, its value as an array, and `p` with another in its place."""
wanted(::Nothing, p) = ()
wanted(target::Borrowed, p) = ((target, as_array(p), x -> like(p, x)),)
wanted(targets::NamedTuple, p) =
    map(name -> (targets[name], as_array(p[name]), x -> merge(p, (; name => like(p[name], x)))), keys(targets))

as_array(x::Number) = [x]
as_array(x::Borrowed) = own(x)
like(::Number, x) = only(x)
like(::Borrowed, x) = x

"""Write `∂f/∂u`."""
function jacobian!(J, dynamics, u, p, t, sign)
    J .= sign .* derivative(dynamics, u, p, t)
    return nothing
end

derivative(dynamics::Returning, u, p, t) = ForwardDiff.jacobian(u -> checked(dynamics.f(u, p, t), u), own(u))
derivative(dynamics::Writing, u, p, t) = ForwardDiff.jacobian((du, u) -> dynamics.f(du, u, p, t), own(u), own(u))

"""The same in Julia's own memory, which rules of derivatives know."""
own(array::Borrowed) = Array(array)
own(p::NamedTuple) = map(own, p)
own(p) = p

fill_with!(to::Borrowed, ::Nothing) = fill!(to, 0)
fill_with!(to::Borrowed, x::Number) = fill!(to, x)
fill_with!(to::Borrowed, x) = copyto!(to, x)

add_to!(::Nothing, _) = nothing
add_to!(::Nothing, ::Nothing) = nothing
add_to!(_, ::Nothing) = nothing
add_to!(to::Borrowed, x::Union{Number, AbstractArray}) = to .+= x
add_to!(to::NamedTuple, x::NamedTuple) = foreach(name -> add_to!(to[name], x[name]), keys(to))

end

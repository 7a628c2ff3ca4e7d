# How the errors of a state's components become one number.

"""
    Norm(kind, sizes, parameters, c_norm)

One type for all solves, so that none is compiled for its norm. `kind` is `:rms`, `:max`, `:seminorm` or `:own`; `sizes`
are those of the tensors that the state has, empty for a single one, of which `:rms` takes the largest. The state of a
backward solve holds adjoints of the state, then, where the sensitivity algorithm has them there, those of so many
`parameters`, which `:seminorm` leaves out, then the state. `:own` asks a C function `(u, length)` for a number, which
returns what is negative on failure.
"""
struct Norm <: Function
    kind::Symbol
    sizes::Vector{Int}
    parameters::Int
    c_norm::Ptr{Cvoid}
end

const RMS = Norm(:rms, Int[], 0, C_NULL)

"""Whether a norm is that which solvers take by themselves, as far as the user knows."""
is_usual(norm::Norm) = norm.kind === :rms

(norm::Norm)(u::Number, t) = OrdinaryDiffEqCore.ODE_DEFAULT_NORM(u, t)
(norm::Norm)(u, t) =
    norm.kind === :rms && isempty(norm.sizes) ? OrdinaryDiffEqCore.ODE_DEFAULT_NORM(u, t) : measured(norm, u)

measured(norm::Norm, u::AbstractArray) = measured(norm, ForwardDiff.value.(u)) # dual numbers

function measured(norm::Norm, u::AbstractArray{T})::T where {T <: Union{Float32, Float64}}
    flat = u isa Dense{T} ? vec(u) : flattened(u)
    norm.kind === :max && return maximum(abs, flat; init = zero(T))
    norm.kind === :own && return answer(norm, flat)
    return largest_rms(norm, flat)
end

"""A state in halves lies the other way round in the flat one."""
flattened(u::AbstractArray) = hasproperty(u, :x) ? vcat(map(vec, reverse(u.x))...) : collect(vec(u))

function answer(norm::Norm, flat::Dense{T}) where {T}
    number = GC.@preserve flat begin
        address, state, size = norm.c_norm, Ptr{Cvoid}(pointer(flat)), length(flat)
        gc_safe(() -> ccall(address, Cdouble, (Ptr{Cvoid}, Int), state, size))
    end
    number < 0 && throw(CallbackError())
    return T(number)
end

"""The largest root mean square of the tensors, and of the parameters' adjoints unless these are left out."""
function largest_rms(norm::Norm, flat::AbstractVector{T}) where {T}
    largest, place = zero(T), 0
    isempty(norm.sizes) && return rms(flat)
    n = sum(norm.sizes)
    while place + n <= length(flat)
        for size in norm.sizes
            largest = max(largest, rms(view(flat, (place + 1):(place + size))))
            place += size
        end
        after = min(place + norm.parameters, length(flat))
        norm.kind === :rms && (largest = max(largest, rms(view(flat, (place + 1):after))))
        place = after
    end
    return largest
end

rms(part) = isempty(part) ? zero(eltype(part)) : sqrt(sum(abs2, part) / length(part))

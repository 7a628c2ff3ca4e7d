# How the errors of a state's components become one number.

"""
    Norm(kind, sizes, parameters, lanes, c_norm)

One type for all solves, so that none is compiled for its norm. `kind` is `:rms`, `:max`, `:seminorm` or `:own`; `sizes`
are those of the tensors that the state has, empty for a single one, of which `:rms` takes the largest. The state of a
backward solve holds adjoints of the state, then, where the sensitivity algorithm has them there, those of so many
`parameters`, which `:seminorm` leaves out, then the state. Where there are several `lanes`, each tensor is a matrix of so
many rows, one for each of several trajectories; of these too the largest is taken, so that each is as accurate as it would
be alone. `:own` asks a C function `(u, length)` for a number, which returns what is negative on failure.
"""
struct Norm <: Function
    kind::Symbol
    sizes::Vector{Int}
    parameters::Int
    lanes::Int
    c_norm::Ptr{Cvoid}
end

const RMS = Norm(:rms, Int[], 0, 1, C_NULL)

"""Whether a norm is that which solvers take by themselves, as far as the user knows."""
is_usual(norm::Norm) = norm.kind === :rms && !is_of_lanes(norm)

"""Whether a norm is that of several trajectories, which share their steps."""
is_of_lanes(norm::Norm) = norm.lanes > 1

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
            largest = max(largest, of_lanes(view(flat, (place + 1):(place + size)), norm.lanes))
            place += size
        end
        after = min(place + norm.parameters, length(flat))
        norm.kind === :rms && (largest = max(largest, of_parameters(norm, view(flat, (place + 1):after))))
        place = after
    end
    return largest
end

rms(part) = isempty(part) ? zero(eltype(part)) : sqrt(sum(abs2, part) / length(part))

"""Of the parameters of several trajectories, the largest element: which belong to one of them is not known."""
of_parameters(norm, part) = is_of_lanes(norm) ? maximum(abs, part; init = zero(eltype(part))) : rms(part)

"""The largest root mean square of the rows of a matrix of so many rows; NaN where one is."""
function of_lanes(part, lanes)
    (lanes == 1 || isempty(part)) && return rms(part)
    rows = reshape(part, lanes, :)
    largest = max(largest_sum(rows, 0, lanes ÷ 8, Val(8)), largest_sum(rows, 8 * (lanes ÷ 8), lanes % 8, Val(1)))
    return sqrt(largest / size(rows, 2))
end

"""
The largest sum of squares of rows, of which there are `count` times `N` behind the first so many; NaN where one is. The
sums of `N` rows are in registers side by side.
"""
function largest_sum(rows, before, count, ::Val{N}) where {N}
    nothing_yet = ntuple(_ -> zero(eltype(rows)), Val(N))
    largest = total = nothing_yet
    for block in 0:(count - 1)
        sums = nothing_yet
        @inbounds for column in axes(rows, 2)
            errors = ntuple(i -> rows[before + block * N + i, column], Val(N))
            sums = muladd.(errors, errors, sums)
        end
        largest, total = larger.(sums, largest), total .+ sums
    end
    return isnan(sum(total)) ? sum(total) : reduce(larger, largest)
end

larger(x, than) = ifelse(x > than, x, than) # which may pass over NaN, in one instruction

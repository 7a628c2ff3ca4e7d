"""
Elementary functions that vectorise: without branches, tables or calls, so that a loop over them becomes SIMD
instructions. (`sin` and `cos` branch to Base's for large arguments; `quick_sin` and `quick_cos` do not.) They follow
torch: outside of their domain they are NaN, and NaN stays NaN.

All are within 2.5 units in the last place. Where a polynomial is given, the comment says on which range, of which
degree, and how far it is from the function in exact arithmetic (minimax, by Remez's exchange). Arguments are reduced as
Cody and Waite do (Software Manual for the Elementary Functions, 1980).
"""
module Elementary

using Core.Intrinsics: sqrt_llvm

export exp, exp2, expm1, log, log2, log10, log1p, sin, cos, quick_sin, quick_cos, is_reducible, tanh, sigmoid, softplus,
    erf, erfc, erfcx, ndtr, log_ndtr, sqrt

const Floating = Union{Float32, Float64}

# The bits of numbers. There are no instructions of AVX2 between Float64 and Int64; adding 1.5 * 2^52 leaves the nearest
# integer in the low bits.

@inline bits(x::Float64) = reinterpret(UInt64, x)
@inline bits(x::Float32) = reinterpret(UInt32, x)
@inline number(x::UInt64) = reinterpret(Float64, x)
@inline number(x::UInt32) = reinterpret(Float32, x)

@inline magic(::Type{Float64}) = 6755399441055744.0 # 1.5 * 2^52
@inline magic(::Type{Float32}) = 12582912.0f0 # 1.5 * 2^23

@inline mantissa(::Type{Float64}) = 52
@inline mantissa(::Type{Float32}) = 23
@inline bias(::Type{Float64}) = 1023
@inline bias(::Type{Float32}) = 127

"""The integer nearest to `x * factor`."""
@inline nearest(x::T, factor::T) where {T} = muladd(x, factor, magic(T)) - magic(T)

"""`2^n` of a whole `n` for which it is a normal number."""
@inline power_of_two(n::T) where {T} = number(bits(n + (magic(T) + bias(T))) << mantissa(T))

"""`x * 2^n` of a whole `n`, also where `2^n` is no normal number: in two steps of which only the second rounds."""
@inline function scaled(x::T, n::T) where {T}
    half = nearest(n, T(0.5))
    return x * power_of_two(half) * power_of_two(n - half)
end

@inline clamped(x::T, low::T, high::T) where {T} = ifelse(x > high, high, ifelse(x < low, low, x))

@inline sqrt(x::Floating) = sqrt_llvm(x)

include("exponentials.jl")
include("logarithms.jl")
include("angles.jl")
include("error_functions.jl")

end

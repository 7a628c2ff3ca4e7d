"""
What translated dynamics call. Functions of a number follow torch where Base throws: outside of their domain they are
NaN. Memory comes as pointers, row by row.
"""
module Kernels

using LinearAlgebra: BLAS
using ..PyODEBridge: outside

include("elementary.jl")
using .Elementary: Floating, exp, exp2, expm1, log, log2, log10, log1p, sin, cos, quick_sin, quick_cos, is_reducible,
    tanh, sigmoid, softplus, erf, erfc, erfcx, ndtr, log_ndtr, sqrt

export begin_call, product!, recalled, remember!, whole_power, truncated, exp, exp2, expm1, log, log2, log10, log1p,
    sin, cos, quick_sin, quick_cos, is_reducible, tan, asin, acos, atan, sinh, cosh, tanh, asinh, acosh, atanh, sqrt,
    erf, erfc, erfcx, ndtr, log_ndtr, pow, sigmoid, softplus, relu, sign, maximum, minimum, fmod, remainder,
    floor_divide, truncate_divide, logaddexp, clamp01, round

# Functions of a number.

for (name, domain) in (
        :asin => :(abs(x) <= 1), :acos => :(abs(x) <= 1), :acosh => :(x >= 1), :atanh => :(abs(x) <= 1),
        :tan => :(isfinite(x)),
    )
    @eval @inline $name(x::T) where {T <: Floating} = $domain ? Base.$name(x) : T(NaN)
end

for name in (:sinh, :cosh, :asinh)
    @eval @inline $name(x::Floating) = Base.$name(x)
end

@inline atan(x::Floating) = Base.atan(x)
@inline atan(y::T, x::T) where {T <: Floating} = Base.atan(y, x)
@inline relu(x::T) where {T <: Floating} = ifelse(x > zero(T), x, ifelse(isnan(x), x, zero(T)))
@inline sign(x) = ifelse(isnan(x), zero(x), Base.sign(x))
@inline clamp01(x::T) where {T <: Floating} = min(max(x, zero(T)), one(T))
@inline round(x::Floating) = Base.round(x)
@inline round(x::Integer) = x

# NaN wins.
@inline maximum(x::T, y::T) where {T <: Floating} = ifelse(isnan(x) | (x > y), x, y)
@inline minimum(x::T, y::T) where {T <: Floating} = ifelse(isnan(x) | (x < y), x, y)
@inline maximum(x::Integer, y::Integer) = max(x, y)
@inline minimum(x::Integer, y::Integer) = min(x, y)

@inline function logaddexp(x::T, y::T) where {T <: Floating}
    high, low = maximum(x, y), minimum(x, y)
    return ifelse(isinf(high) & (high == low), high, high + log1p(exp(low - high)))
end

@inline function pow(x::T, y::T) where {T <: Floating}
    if x < 0 && !isinteger(y)
        return isnan(y) || (isfinite(x) && isfinite(y)) ? T(NaN) : abs(x)^y
    end
    return x^y
end

@inline pow(x::Integer, y::Integer) = y < 0 ? (abs(x) == 1 ? x^(-y) : zero(x)) : x^y

@inline whole_power(x, ::Val{0}) = one(x)
@inline whole_power(x, ::Val{1}) = x
@inline function whole_power(x, ::Val{N}) where {N}
    N < 0 && return one(x) / whole_power(x, Val(-N))
    half = whole_power(x, Val(N ÷ 2))
    return iseven(N) ? half * half : half * half * x
end

# Whole numbers by zero, which torch refuses, must not throw: no exception may leave a C function.
@inline fmod(x::T, y::T) where {T <: Floating} = isfinite(x) && y != 0 ? rem(x, y) : T(NaN)
@inline fmod(x::Integer, y::Integer) = y == 0 ? zero(x) : rem(x, y)
@inline remainder(x::T, y::T) where {T <: Floating} = isfinite(x) && y != 0 ? mod(x, y) : T(NaN)
@inline remainder(x::Integer, y::Integer) = y == 0 ? zero(x) : mod(x, y)
# Rounded as if the quotient were exact.
@inline function floor_divide(x::T, y::T) where {T <: Floating}
    y == 0 && return x / y
    rest = fmod(x, y)
    quotient = (x - rest) / y
    quotient -= rest != 0 && (y < 0) != (rest < 0)
    quotient == 0 && return copysign(quotient, x / y)
    whole = floor(quotient)
    return whole + (quotient - whole > T(0.5))
end

@inline floor_divide(x::Integer, y::Integer) = y == 0 ? zero(x) : fld(x, y)
@inline truncate_divide(x::T, y::T) where {T <: Floating} = trunc(x / y)
@inline truncate_divide(x::Integer, y::Integer) = y == 0 ? zero(x) : div(x, y)

"""As C casts: towards zero."""
@inline truncated(::Type{I}, x::Floating) where {I <: Integer} = unsafe_trunc(I, x)
@inline truncated(::Type{I}, x::Integer) where {I <: Integer} = x % I

# The environment of a call: integers in memory, which the Python half writes; see its `lane.py`.

const LEFT, TICK, WORK, MEMORY, JOINT = 1, 2, 3, 4, 5

"""
Count a call in `slot`, and now and then tell Python the time. Returns whether to go on.
"""
@inline function begin_call(env::Ptr{Int}, slot::Int, t::Float64)
    unsafe_store!(env, unsafe_load(env, slot) + 1, slot)
    left = unsafe_load(env, LEFT) - 1
    unsafe_store!(env, left, LEFT)
    return left > 0 || tick(env, t)
end

"""Calls between looks at whether to go on, if who is told the time sets no other number."""
const CALLS_A_LOOK = 100

@noinline function tick(env::Ptr{Int}, t::Float64)
    unsafe_store!(env, CALLS_A_LOOK, LEFT)
    tick = Ptr{Cvoid}(unsafe_load(env, TICK))
    return iszero(outside(() -> ccall(tick, Cint, (Cdouble,), t)))
end

"""
Keep at which point a product with the parameters was computed: `memory` holds the time, `v`, `u`, then the product.
"""
function remember!(memory::Ptr{T}, v::Ptr{T}, u::Ptr{T}, t::Float64, n::Int) where {T}
    unsafe_store!(Ptr{Float64}(memory), t)
    unsafe_copyto!(memory + 8, v, n)
    unsafe_copyto!(memory + 8 + n * sizeof(T), u, n)
    return nothing
end

"""Whether the product in `memory` is that for this point."""
function recalled(memory::Ptr{T}, v::Ptr{T}, u::Ptr{T}, t::Float64, n::Int) where {T}
    unsafe_load(Ptr{Float64}(memory)) == t || return false
    same = true
    for i in 1:n
        same &= unsafe_load(memory + 8, i) == unsafe_load(v, i)
        same &= unsafe_load(memory + 8, n + i) == unsafe_load(u, i)
    end
    return same
end

# Products of matrices.

"""Multiplications from which on BLAS is faster than loops."""
const LARGE_PRODUCT = 20_000

"""
    product!(c, a, b, m, n, k, am, ak, bk, bn)

`c = a * b`, of `(m, k)` by `(k, n)`, with the strides of `a` and `b`; `c` lies row by row.
"""
@inline function product!(c::Ptr{T}, a::Ptr{T}, b::Ptr{T}, m, n, k, am, ak, bk, bn) where {T}
    regular = (am == 1 || ak == 1) && (bk == 1 || bn == 1)
    if regular && m * n * k >= LARGE_PRODUCT
        gemm!(c, a, b, m, n, k, am, ak, bk, bn)
    elseif ak == 1 && bk == 1 && k >= 8
        by_dots!(c, a, b, m, n, k, am, bn)
    else
        by_rows!(c, a, b, m, n, k, am, ak, bk, bn)
    end
    return nothing
end

@inline function by_dots!(c::Ptr{T}, a, b, m, n, k, am, bn) where {T}
    for i in 0:(m - 1), j in 0:(n - 1)
        total = zero(T)
        @simd for l in 1:k
            total = muladd(unsafe_load(a, i * am + l), unsafe_load(b, j * bn + l), total)
        end
        unsafe_store!(c, total, i * n + j + 1)
    end
    return nothing
end

@inline function by_rows!(c::Ptr{T}, a, b, m, n, k, am, ak, bk, bn) where {T}
    for i in 0:(m - 1)
        @simd ivdep for j in 0:(n - 1)
            unsafe_store!(c, zero(T), i * n + j + 1)
        end
        for l in 0:(k - 1)
            factor = unsafe_load(a, i * am + l * ak + 1)
            @simd ivdep for j in 0:(n - 1)
                total = unsafe_load(c, i * n + j + 1)
                unsafe_store!(c, muladd(factor, unsafe_load(b, l * bk + j * bn + 1), total), i * n + j + 1)
            end
        end
    end
    return nothing
end

"""
The addresses of the functions `dgemm` and `sgemm` that multiply large matrices, with integers of 64 bits: those of
Julia's BLAS, unless `use_products` has named others.
"""
const DGEMM, SGEMM = Ref(C_NULL), Ref(C_NULL)

"""How many threads such a function of others may use in this one, told by their C function; null for nobody to tell."""
const SET_THREADS = Ref(C_NULL)

function __init__()
    DGEMM[] = cglobal((BLAS.@blasfunc(dgemm_), BLAS.libblastrampoline))
    SGEMM[] = cglobal((BLAS.@blasfunc(sgemm_), BLAS.libblastrampoline))
    return nothing
end

"""Multiply large matrices by these functions from now on, if they do that."""
function use_products(dgemm, sgemm, set_threads)
    BLAS.BlasInt === Int64 || return false
    before = DGEMM[], SGEMM[]
    DGEMM[], SGEMM[] = dgemm, sgemm
    if multiplies(Float64) && multiplies(Float32)
        SET_THREADS[] = set_threads
        return true
    end
    DGEMM[], SGEMM[] = before
    return false
end

"""Whether a product that is known comes out right."""
function multiplies(::Type{T}) where {T}
    a, b, c = T[1 3; 2 4], T[5 7; 6 8], zeros(T, 2, 2) # (1 2; 3 4) and (5 6; 7 8), row by row
    GC.@preserve a b c gemm!(pointer(c), pointer(a), pointer(b), 2, 2, 2, 2, 1, 2, 1)
    return c == T[19 43; 22 50]
end

"""Let large products use so many threads where this one asks for them; returns how many these were. 0 is for all."""
limit_threads(count) = SET_THREADS[] == C_NULL ? Cint(0) : ccall(SET_THREADS[], Cint, (Cint,), count)

# What lies row by row is, to BLAS, the transpose column by column.
for (T, gemm) in ((Float64, :DGEMM), (Float32, :SGEMM))
    @eval function gemm!(c::Ptr{$T}, a::Ptr{$T}, b::Ptr{$T}, m, n, k, am, ak, bk, bn)
        first, b_apart = bn == 1 ? (UInt8('N'), bk) : (UInt8('T'), bn)
        second, a_apart = ak == 1 ? (UInt8('N'), am) : (UInt8('T'), ak)
        ccall(
            $gemm[], Cvoid,
            (
                Ref{UInt8}, Ref{UInt8}, Ref{BLAS.BlasInt}, Ref{BLAS.BlasInt}, Ref{BLAS.BlasInt}, Ref{$T}, Ptr{$T},
                Ref{BLAS.BlasInt}, Ptr{$T}, Ref{BLAS.BlasInt}, Ref{$T}, Ptr{$T}, Ref{BLAS.BlasInt}, Clong, Clong,
            ),
            first, second, n, m, k, one($T), b, max(b_apart, 1), a, max(a_apart, 1), zero($T), c, n, 1, 1
        )
        return nothing
    end
end

end

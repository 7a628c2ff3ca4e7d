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

# Exponentials: e^x = 2^n e^r with |r| <= log(2) / 2.

@inline log2_e(::Type{Float64}) = 1.4426950408889634
@inline log2_e(::Type{Float32}) = 1.442695f0

# log(2) in two parts, of which the first times an exponent is exact.
@inline ln2(::Type{Float64}) = (0.6931471805598903, 5.497923018708371e-14)
@inline ln2(::Type{Float32}) = (0.69314575f0, 1.4286068f-6)

# (e^r - 1 - r) / r^2 on [-0.347, 0.347]: degree 10, relative to e^r - 1 2^-61; degree 5, 2^-32.
@inline exp_series(r::Float64) = evalpoly(
    r, (
        0.5, 0.16666666666666677, 0.0416666666666667, 0.008333333333321532, 0.001388888888886665,
        0.00019841269886401687, 2.4801587360927774e-5, 2.7557243911176997e-6, 2.755724244067691e-7,
        2.510914753244263e-8, 2.092454222987917e-9,
    )
)
@inline exp_series(r::Float32) = evalpoly(
    r, (0.5f0, 0.16666667f0, 0.041666355f0, 0.008333272f0, 0.0013941101f0, 0.00019914344f0)
)

"""`n` and `e^r - 1` where `e^x = 2^n e^r`."""
@inline function reduced_exp(x::T) where {T}
    n = nearest(x, log2_e(T))
    high, low = ln2(T)
    r = muladd(-n, low, muladd(-n, high, x))
    return n, muladd(r * r, exp_series(r), r)
end

"""The same, with what rounding `r` lost put back: where `2^n e^r - 1` cancels, that would show."""
@inline function reduced_expm1(x::T) where {T}
    n = nearest(x, log2_e(T))
    high, low = ln2(T)
    above = muladd(-n, high, x)
    r = muladd(-n, low, above)
    lost = muladd(-n, low, above - r)
    return n, r + muladd(r * r, exp_series(r), muladd(lost, r, lost))
end

# Beyond these, everything under- or overflows.
@inline exp_limit(::Type{Float64}) = 1000.0
@inline exp_limit(::Type{Float32}) = 130.0f0

@inline function exp(x::T) where {T <: Floating}
    n, q = reduced_exp(clamped(x, -exp_limit(T), exp_limit(T)))
    return scaled(one(T) + q, n)
end

# (2^r - 1) / r on [-1/2, 1/2]: degree 10, relative to 2^r - 1 2^-58; degree 5, 2^-29.
@inline exp2_series(r::Float64) = evalpoly(
    r, (
        0.6931471805599453, 0.24022650695910133, 0.05550410866482174, 0.009618129107593333, 0.0013333558146379028,
        0.00015403530458078126, 1.5252733867545702e-5, 1.3215434817619096e-6, 1.0178046460427327e-7,
        7.0738600613609115e-9, 4.4573872604254e-10,
    )
)
@inline exp2_series(r::Float32) = evalpoly(
    r, (0.6931472f0, 0.2402265f0, 0.05550328f0, 0.009618004f0, 0.0013400269f0, 0.0001547635f0)
)

@inline function exp2(x::T) where {T <: Floating}
    inside = clamped(x, -T(1.4) * bias(T), T(1.4) * bias(T))
    n = nearest(inside, one(T))
    r = inside - n
    return scaled(muladd(r, exp2_series(r), one(T)), n)
end

@inline function expm1(x::T) where {T <: Floating}
    n, q = reduced_expm1(clamped(x, -exp_limit(T), exp_limit(T)))
    half = nearest(n, T(0.5))
    first, second = power_of_two(half), power_of_two(n - half)
    value = muladd(first, q, first - power_of_two(half - n)) * second
    return ifelse(iszero(x), x, value)
end

# From which on tanh rounds to one.
@inline tanh_limit(::Type{Float64}) = 20.0
@inline tanh_limit(::Type{Float32}) = 10.0f0

"""`E / (E + 2)` where `E = e^(2|x|) - 1`; above a half `1 - 2 / (E + 2)`, in which the errors of `E` shrink."""
@inline function tanh(x::T) where {T <: Floating}
    a = clamped(abs(x), zero(T), tanh_limit(T))
    n, q = reduced_expm1(2 * a)
    s = power_of_two(n)
    low = a < T(0.55)
    ratio = ifelse(low, muladd(s, q, s - one(T)), T(-2)) / muladd(s, q, s + one(T))
    return copysign(ifelse(low, ratio, one(T) + ratio), x)
end

@inline function sigmoid(x::T) where {T <: Floating}
    e = exp(-abs(x))
    return ifelse(x < zero(T), e, one(T)) / (one(T) + e)
end

@inline softplus(x::T) where {T <: Floating} = ifelse(x > zero(T), x, zero(T)) + log1p(exp(-abs(x)))

# Logarithms: x = 2^k m with m in [sqrt(1/2), sqrt(2)), and log(m) = 2 atanh(s) with s = (m - 1) / (m + 1).

@inline sqrt_half(::Type{Float64}) = 0.7071067811865476
@inline sqrt_half(::Type{Float32}) = 0.70710677f0

# (log((1 + s) / (1 - s)) - 2s) / s^3 by s^2 on [0, 0.0296]: degree 6, relative to the logarithm 2^-59; degree 2, 2^-30.
@inline log_series(z::Float64) = evalpoly(
    z, (
        0.6666666666666737, 0.39999999999394603, 0.2857142874727391, 0.22222198031755125, 0.1818359441010884,
        0.1531323390460181, 0.14804566987982787,
    )
)
@inline log_series(z::Float32) = evalpoly(z, (0.66666776f0, 0.39977285f0, 0.29879168f0))

"""`k` and `m` of a positive normal `x`."""
@inline function split_exponent(x::T) where {T}
    above = bits(x) - bits(sqrt_half(T)) + bits(one(T)) # its exponent is that of x / sqrt(1/2), k
    exponent = above >> mantissa(T)
    whole = T(2)^mantissa(T)
    k = number(exponent | bits(whole)) - (whole + bias(T))
    return k, number(bits(x) - (exponent << mantissa(T)) + bits(one(T)))
end

"""The same, and subnormal `x`."""
@inline function split_exponent_of_any(x::T) where {T}
    small = x < floatmin(T)
    k, m = split_exponent(ifelse(small, x * T(2)^mantissa(T), x))
    return ifelse(small, k - mantissa(T), k), m
end

"""
`f - log(1 + f)`, smaller than `f` and so known to more places, of `f = m - 1`: with `h = f^2 / 2` it is
`h - s (h + s^2 series)`, since `2s = f - s f` and `s f = h - s h`.
"""
@inline function shortfall(f::T) where {T}
    s = f / (T(2) + f)
    z = s * s
    h = T(0.5) * f * f
    return h, s * muladd(z, log_series(z), h)
end

"""`value` where `x` is in the domain of the logarithm of `x + shift`; its limits and NaN elsewhere."""
@inline function in_domain(value::T, x::T, pole::T) where {T}
    outside = ifelse(x == pole, T(-Inf), T(NaN))
    return ifelse(x > pole, ifelse(x == T(Inf), x, value), outside)
end

@inline function log(x::T) where {T <: Floating}
    k, m = split_exponent_of_any(x)
    f = m - one(T)
    h, rest = shortfall(f)
    high, low = ln2(T)
    return in_domain(muladd(k, high, f - (h - muladd(k, low, rest))), x, zero(T))
end

"""`log(u + c)`, of `u = 1 + x` rounded and what was lost, `c`: `log(u) + c / u`."""
@inline function log1p(x::T) where {T <: Floating}
    u = one(T) + x
    v = u - one(T)
    c = (one(T) - (u - v)) + (x - v)
    k, m = split_exponent(u)
    f = m - one(T)
    h, rest = shortfall(f)
    high, low = ln2(T)
    value = muladd(k, high, f - (h - (muladd(k, low, c / u) + rest)))
    return ifelse(iszero(x), x, in_domain(value, x, -one(T)))
end

@inline log10_2(::Type{Float64}) = (0.30102999566395283, 2.8363394551044964e-14)
@inline log10_2(::Type{Float32}) = (0.30102539f0, 4.605039f-6)
@inline log10_e(::Type{Float64}) = 0.4342944819032518
@inline log10_e(::Type{Float32}) = 0.4342945f0

@inline function log2(x::T) where {T <: Floating}
    k, m = split_exponent_of_any(x)
    f = m - one(T)
    h, rest = shortfall(f)
    return in_domain(muladd(f - (h - rest), log2_e(T), k), x, zero(T))
end

@inline function log10(x::T) where {T <: Floating}
    k, m = split_exponent_of_any(x)
    f = m - one(T)
    h, rest = shortfall(f)
    high, low = log10_2(T)
    return in_domain(muladd(k, high, muladd(k, low, (f - (h - rest)) * log10_e(T))), x, zero(T))
end

# Sine and cosine: x = n pi/2 + r + t with |r| <= pi/4, and a tail t below the last place of r.

# pi/2 in three parts of 53 bits.
const PI_2 = (1.5707963267948966, 6.123233995736766e-17, -1.4973849048591815e-33)
const REDUCIBLE = 2.0^48

"""
`n mod 4` (in the low bits), `r` and `t`. `x - n * PI_2[1]` is exact: both are multiples of 2^-52, except that `n` is 0
or 1 where `|x| < 1`.
"""
@inline function reduced_angle(x::Float64)
    shifted = muladd(x, 0.6366197723675814, magic(Float64))
    n = shifted - magic(Float64)
    first = fma(-n, PI_2[1], x)
    second = n * PI_2[2]
    r = first - second
    lost = fma(n, PI_2[2], -second)
    back = first - r
    # what the difference lost, whichever of the two was the greater
    t = (first - (r + back)) + (back - second)
    return bits(shifted), r, (t - lost) - n * PI_2[3]
end

# (sin(r) - r) / r^3 by r^2 on [0, 0.642]: degree 5, relative to r 2^-57; (cos(r) - 1 + r^2 / 2) / r^4: degree 5, 2^-63.
@inline sin_series(z) = evalpoly(
    z, (
        -0.16666666666666624, 0.00833333333332004, -0.00019841269827855374, 2.7557312999592884e-6,
        -2.5050647780710397e-8, 1.5890307722138884e-10,
    )
)
@inline cos_series(z) = evalpoly(
    z, (
        0.04166666666666658, -0.0013888888888870913, 2.4801587287419978e-5, -2.7557313742583287e-7,
        2.087563879271634e-9, -1.1355204309540844e-11,
    )
)

@inline function sin_reduced(r, t)
    z = r * r
    return r + muladd(z * r, sin_series(z), t * muladd(-0.5, z, 1.0))
end

@inline function cos_reduced(r, t)
    z = r * r
    h = 0.5 * z
    w = 1.0 - h
    return w + (((1.0 - w) - h) + muladd(z * z, cos_series(z), -r * t))
end

# Single precision is computed in double, where neither the tail nor as many terms are needed: degree 3, 2^-37;
# degree 2, 2^-33.
@inline sin_series_short(z) = evalpoly(
    z, (-0.16666666637340988, 0.00833332888966443, -0.00019839176072961257, 2.716809966575079e-6)
)
@inline cos_series_short(z) = evalpoly(z, (0.041666644383011306, -0.0013887242962220875, 2.4423911286367076e-5))

@inline function sin_reduced(r)
    z = r * r
    return muladd(z * r, sin_series_short(z), r)
end

@inline function cos_reduced(r)
    z = r * r
    return muladd(z * z, cos_series_short(z), muladd(-0.5, z, 1.0))
end

"""`sin(r + n pi/2)`."""
@inline function turned(n::UInt64, sine::Float64, cosine::Float64)
    value = ifelse(iszero(n & 1), sine, cosine)
    return number(bits(value) ⊻ ((n & 2) << 62))
end

"""Whether `quick_sin` and `quick_cos` serve `x`: up to `2^48`, and NaN."""
@inline is_reducible(x::Floating) = !(abs(x) > REDUCIBLE)

@inline function quick_sin(x::Float64)
    n, r, t = reduced_angle(x)
    return ifelse(iszero(x), x, turned(n, sin_reduced(r, t), cos_reduced(r, t)))
end

@inline function quick_cos(x::Float64)
    n, r, t = reduced_angle(x)
    return turned(n + 1, sin_reduced(r, t), cos_reduced(r, t))
end

@inline function quick_sin(x::Float32)
    n, r, _ = reduced_angle(Float64(x))
    return ifelse(iszero(x), x, Float32(turned(n, sin_reduced(r), cos_reduced(r))))
end

@inline function quick_cos(x::Float32)
    n, r, _ = reduced_angle(Float64(x))
    return Float32(turned(n + 1, sin_reduced(r), cos_reduced(r)))
end

for (name, quick) in ((:sin, :quick_sin), (:cos, :quick_cos))
    @eval begin
        """Of any `x`, with a branch."""
        @inline $name(x::Floating) = is_reducible(x) ? $quick(x) : far(Base.$name, x)
    end
end

"""Where it is not finite, Base throws."""
@noinline far(f::F, x::T) where {F, T} = isfinite(x) ? f(x) : T(NaN)

include("error_functions.jl")

end

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

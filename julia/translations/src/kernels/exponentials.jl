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

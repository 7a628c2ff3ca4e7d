# The error function: a polynomial below one, and 1 - e^(-x^2) erfcx(x) from there to where it rounds to one.

# erf(x) / x - 1 by x^2 on [0, 1]: degree 11, relative 2^-56; degree 6, 2^-29.
@inline erf_series(z::Float64) = evalpoly(
    z, (
        0.12837916709551257, -0.3761263890318352, 0.11283791670944185, -0.026866170643111465,
        0.00522397760611844, -0.0008548325929313305, 0.00012055293576889376, -1.4924712302285218e-5,
        1.644713158008276e-6, -1.6206313859999103e-7, 1.3710980952796773e-8, -7.779469688196642e-10,
    )
)
@inline erf_series(z::Float32) = evalpoly(
    z, (
        0.12837917f0, -0.37612626f0, 0.112835854f0, -0.026853811f0, 0.0051883277f0, -0.0008010193f0, 7.853859f-5,
    )
)

# e^(x^2) erfc(x) by (x - c) / (x + c). Error, times e^(-x^2): on [1, 6], c = 2.5, degree 11, 2^-56; on [1, 4], c = 2,
# degree 5, 2^-34.
@inline erfcx_far(a::Float64) = evalpoly(
    (a - 2.5) / (a + 2.5), (
        0.21080636406114245, -0.3717367339492595, 0.25171319321186897, -0.12503305235398712, 0.039922540461691455,
        -0.003993689579658229, -0.00264235500655069, 0.0008755215182830784, 0.00022549340520549847,
        -0.00013881770637921593, -5.3275348501578514e-5, -9.54680203425626e-7,
    )
)
@inline erfcx_far(a::Float32) = evalpoly(
    (a - 2.0f0) / (a + 2.0f0), (
        0.25539568f0, -0.42718586f0, 0.24165727f0, -0.078986906f0, 0.0037297388f0, 0.0072125504f0,
    )
)

@inline erf_limit(::Type{Float64}) = 6.0
@inline erf_limit(::Type{Float32}) = 4.0f0

@inline function erf(x::T) where {T <: Floating}
    a = clamped(abs(x), zero(T), erf_limit(T))
    z = a * a
    n, q = reduced_exp(-z)
    far = one(T) - (one(T) + q) * power_of_two(n) * erfcx_far(a)
    return copysign(ifelse(a < one(T), muladd(a, erf_series(z), a), far), x)
end

# The complementary error function, of which erf keeps nothing beyond where it rounds to one: e^(-x^2) erfcx(x), with
# erfcx(a) (1 + 2a) = 1 + u Q(u - 1) where u = 2a / (a + c) goes from 0 to 2 (Shepherd and Laframboise, 1981).

# Q on [-1, 1]; of the whole, relative: c = 4, degree 23, 2^-56; c = 2, degree 11, 2^-27.
@inline erfcx_centre(::Type{Float64}) = 4.0
@inline erfcx_centre(::Type{Float32}) = 2.0f0
@inline erfcx_series(s::Float64) = @inline evalpoly( # too long to be inlined by itself
    s, (
        0.2329951186255525, -0.3726162354661148, 0.3879958875687341, -0.3198988333140655, 0.21885976727778053,
        -0.12512693227867125, 0.058796566466177966, -0.02162905093982053, 0.0054313168831138965,
        -0.0003993468140094827, -0.0003584264656844511, 0.000159169312699206, -8.547754190423861e-06,
        -1.5849974368062417e-05, 4.6285193952806576e-06, 1.0780524505049453e-06, -7.858052054406484e-07,
        -3.525022095864065e-08, 1.1242587061827734e-07, -6.115714374445643e-09, -1.4244873785154008e-08,
        1.9099058688728375e-09, 1.1816963091598538e-09, -2.52681405963231e-10,
    )
)
@inline erfcx_series(s::Float32) = evalpoly(
    s, (
        0.27697837f0, -0.36974216f0, 0.20371175f0, -0.039662383f0, -0.014557723f0, 0.0065393f0, 0.0021843854f0,
        -0.00096830836f0, -0.0004935899f0, 0.00013709754f0, 8.223048f-5, -1.9413397f-5,
    )
)

"""`erfcx(a)` of `0 <= a < 2^62` in two parts, of which the second is what rounding took from the first."""
@inline function erfcx_parts(a::T) where {T}
    u = T(2) / (one(T) + erfcx_centre(T) / a)
    p = muladd(u, erfcx_series(u - one(T)), one(T))
    b = a + a
    d = one(T) + b
    v = d - one(T)
    lost = (one(T) - (d - v)) + (b - v)
    quotient = p / d
    return quotient, (fma(-quotient, d, p) - quotient * lost) / d
end

"""`(value + more) e^(z + lost)` where `more` and `lost` are small."""
@inline function times_exp(value::T, more::T, z::T, lost::T) where {T}
    n, q = reduced_exp(z)
    return scaled(value + muladd(value, muladd(lost, one(T) + q, q), more), n)
end

# From which on e^(-x^2) and e^(-x^2 / 2) are zero.
@inline erfc_limit(::Type{Float64}) = 28.0
@inline erfc_limit(::Type{Float32}) = 11.0f0
@inline ndtr_limit(::Type{Float64}) = 40.0
@inline ndtr_limit(::Type{Float32}) = 16.0f0

@inline function erfc(x::T) where {T <: Floating}
    a = clamped(abs(x), zero(T), erfc_limit(T))
    z = a * a
    far = times_exp(erfcx_parts(a)..., -z, -fma(a, a, -z))
    return ifelse(x < zero(T), T(2) - far, far)
end

"""`e^(x^2) erfc(x)`."""
@inline function erfcx(x::T) where {T <: Floating}
    a = abs(x)
    value, more = erfcx_parts(clamped(a, zero(T), T(2)^60))
    right = ifelse(a > T(2)^60, T(0.5641895835477563) / a, value + more)
    b = clamped(a, zero(T), erfc_limit(T))
    z = b * b
    left = times_exp(T(2), zero(T), z, fma(b, b, -z)) - right
    return ifelse(x < zero(T), left, right)
end

"""The normal distribution's probability below `x`: `erfc(-x / sqrt(2)) / 2`, of which the root would cost places."""
@inline function ndtr(x::T) where {T <: Floating}
    a = clamped(abs(x), zero(T), ndtr_limit(T))
    half = T(0.5) * a
    z = half * a
    far = T(0.5) * times_exp(erfcx_parts(a * sqrt_half(T))..., -z, -fma(half, a, -z))
    return ifelse(x > zero(T), one(T) - far, far)
end

@inline function log_ndtr(x::T) where {T <: Floating}
    below = log(T(0.5) * erfcx(-x * sqrt_half(T))) - T(0.5) * x * x
    return ifelse(x < zero(T), below, log1p(-ndtr(-x)))
end

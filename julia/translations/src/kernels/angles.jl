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

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

# Elementary functions against BigFloat, at their limits, and in loops.

using InteractiveUtils: code_llvm
using PyODETranslations.Kernels: Elementary
using Random: Xoshiro

"""`erf` as e^(-x^2) times a series whose terms have one sign (Abramowitz and Stegun, 7.1.6)."""
function erf_reference(x::BigFloat)
    term = total = x
    n = 0
    while abs(term) > eps(BigFloat) * abs(total)
        n += 1
        term *= 2 * x^2 / (2n + 1)
        total += term
    end
    return 2 / sqrt(big(π)) * exp(-x^2) * total
end

"""`erfc`, with so many bits that enough are left of the difference."""
erfc_reference(x::BigFloat) = setprecision(() -> 1 - erf_reference(BigFloat(x)), BigFloat, 1_600)

"""`e^(x^2) erfc(x)`, far out by its asymptotic series (7.1.23)."""
function erfcx_reference(x::BigFloat)
    x < 30 && return setprecision(() -> exp(BigFloat(x)^2) * erfc_reference(x), BigFloat, 1_600)
    total = term = one(x)
    for n in 1:100
        term *= -(2n - 1) / (2 * x^2)
        total += term
    end
    return total / (x * sqrt(big(π)))
end

ndtr_reference(x::BigFloat) = erfc_reference(-x / sqrt(big(2))) / 2
log_ndtr_reference(x::BigFloat) = log(ndtr_reference(x))

const REFERENCES = (
    exp = exp, exp2 = exp2, expm1 = expm1, log = log, log2 = log2, log10 = log10, log1p = log1p, sin = sin, cos = cos,
    tanh = tanh, sigmoid = x -> 1 / (1 + exp(-x)), softplus = x -> log1p(exp(x)), erf = erf_reference,
    erfc = erfc_reference, erfcx = erfcx_reference, ndtr = ndtr_reference, log_ndtr = log_ndtr_reference, sqrt = sqrt,
)

"""In places of the last digit of the true value, subnormal ones and overflow included."""
function error_in_ulp(value::T, exact::BigFloat) where {T}
    rounded = T(exact)
    isequal(value, rounded) && return 0.0
    return Float64(abs(big(value) - exact) / eps(rounded)) # NaN or Inf where either of them is not finite
end

"""Points of `[low, high]`: evenly random, and near zero at every scale."""
function points(::Type{T}, low, high; n = 1_000) where {T}
    draw = Xoshiro(0)
    even = T[low + (high - low) * rand(draw) for _ in 1:n]
    tiny = T[s * exp10(-rand(draw) * 30) for _ in 1:(n ÷ 2) for s in (1, -1) if low < s < high]
    return [even; tiny; T(low); T(high)]
end

positive(::Type{T}; n = 1_000) where {T} =
    [abs(x) for x in reinterpret(T, rand(Xoshiro(0), T === Float64 ? UInt64 : UInt32, n)) if isfinite(x) && !iszero(x)]

"""Where each function is neither constant nor outside of its domain."""
arguments(name::Symbol, ::Type{T}) where {T} =
if name in (:log, :log2, :log10, :sqrt)
    [positive(T); points(T, T(0.4), 3)]
elseif name === :log1p
    [positive(T); points(T, T(-0.999), 3); prevfloat(T(0)); nextfloat(T(-1))]
elseif name in (:sin, :cos)
    # Also the neighbours of multiples of pi/2, which leave little after the reduction.
    near = [points(T, -10, 10); points(T, -1.0e5, 1.0e5); T[k * big(π) / 2 for k in 1:300]]
    [near; points(T, -2.0^48, 2.0^48); points(T, -2.0^60, 2.0^60); points(T, -1.0e38, 1.0e38)]
elseif name === :exp2
    [points(T, T(exponent(floatmin(T)) - precision(T)), T(exponent(floatmax(T)) + 1)); points(T, -2, 2)]
elseif name === :erf
    [points(T, -6, 6); points(T, -1.2, 1.2)]
elseif name === :erfc
    [points(T, -6, T === Float64 ? 27.3 : 10.1; n = 300); points(T, -1.2, 1.2; n = 100)]
elseif name === :erfcx
    [points(T, T === Float64 ? -26.6 : -9.3, 40; n = 300); points(T, 0, 1.0e19; n = 100); T[1.0e25, 1.0e38]]
elseif name in (:ndtr, :log_ndtr)
    [points(T, T === Float64 ? -38.4 : -14.1, 9; n = 300); points(T, -1.2, 1.2; n = 100)]
else
    [points(T, log(floatmin(T)) - precision(T), log(floatmax(T)) + 1); points(T, -2, 2); points(T, -20, 20)]
end

# name, argument, value; the sign of zero counts.
const LIMITS = (
    (:exp, 0, 1), (:exp, -0.0, 1), (:exp, Inf, Inf), (:exp, -Inf, 0), (:exp, 800, Inf), (:exp, -800, 0),
    (:exp2, Inf, Inf), (:exp2, -Inf, 0), (:exp2, 10, 1024), (:exp2, -2000, 0), (:exp2, 2000, Inf),
    (:expm1, 0, 0), (:expm1, -0.0, -0.0), (:expm1, Inf, Inf), (:expm1, -Inf, -1), (:expm1, -800, -1),
    (:log, 0, -Inf), (:log, -0.0, -Inf), (:log, 1, 0), (:log, Inf, Inf), (:log, -1, NaN), (:log, -Inf, NaN),
    (:log2, 0, -Inf), (:log2, 8, 3), (:log2, 0.25, -2), (:log2, Inf, Inf), (:log2, -1, NaN),
    (:log10, 0, -Inf), (:log10, 1, 0), (:log10, Inf, Inf), (:log10, -1, NaN),
    (:log1p, 0, 0), (:log1p, -0.0, -0.0), (:log1p, -1, -Inf), (:log1p, Inf, Inf), (:log1p, -2, NaN),
    (:log1p, -Inf, NaN), (:sin, 0, 0), (:sin, -0.0, -0.0), (:sin, Inf, NaN), (:sin, -Inf, NaN),
    (:cos, 0, 1), (:cos, Inf, NaN), (:cos, -Inf, NaN),
    (:tanh, 0, 0), (:tanh, -0.0, -0.0), (:tanh, Inf, 1), (:tanh, -Inf, -1), (:tanh, 25, 1), (:tanh, -25, -1),
    (:sigmoid, 0, 0.5), (:sigmoid, Inf, 1), (:sigmoid, -Inf, 0), (:sigmoid, -800, 0), (:sigmoid, 800, 1),
    (:softplus, Inf, Inf), (:softplus, -Inf, 0), (:softplus, 800, 800), (:softplus, -800, 0),
    (:erf, 0, 0), (:erf, -0.0, -0.0), (:erf, Inf, 1), (:erf, -Inf, -1), (:erf, 7, 1), (:erf, -7, -1),
    (:erfc, 0, 1), (:erfc, -0.0, 1), (:erfc, Inf, 0), (:erfc, -Inf, 2), (:erfc, 30, 0), (:erfc, -30, 2),
    (:erfcx, 0, 1), (:erfcx, -0.0, 1), (:erfcx, Inf, 0), (:erfcx, -Inf, Inf), (:erfcx, -30, Inf),
    (:ndtr, 0, 0.5), (:ndtr, -0.0, 0.5), (:ndtr, Inf, 1), (:ndtr, -Inf, 0), (:ndtr, -50, 0), (:ndtr, 50, 1),
    (:log_ndtr, -Inf, -Inf), (:log_ndtr, Inf, -0.0), (:log_ndtr, 50, -0.0),
    (:sqrt, 0, 0), (:sqrt, -0.0, -0.0), (:sqrt, 4, 2), (:sqrt, Inf, Inf), (:sqrt, -1, NaN), (:sqrt, -Inf, NaN),
)

function apply!(f::F, out::Ptr{T}, x::Ptr{T}, n::Int) where {F, T}
    @simd ivdep for i in 1:n
        unsafe_store!(out, f(unsafe_load(x, i)), i)
    end
    return nothing
end

"""`f` of numbers in a loop, and what the loop allocates once it is compiled."""
function looped(f::F, x::Vector{T}) where {F, T}
    out = similar(x)
    GC.@preserve x out begin
        apply!(f, pointer(out), pointer(x), length(x))
        allocated = @allocated apply!(f, pointer(out), pointer(x), length(x))
    end
    return out, allocated
end

@testset "elementary functions" begin
    @testset "$name, $T" for T in (Float32, Float64), name in keys(REFERENCES)
        f, reference = getfield(Elementary, name), REFERENCES[name]
        errors = [error_in_ulp(f(x), reference(big(x))) for x in arguments(name, T)]
        @test maximum(errors) < 2.5
        @test isequal(f(T(NaN)), T(NaN))
    end

    @testset "$name($x) = $value, $T" for T in (Float32, Float64), (name, x, value) in LIMITS
        @test isequal(getfield(Elementary, name)(T(x)), T(value))
    end

    @testset "tanh and erf are odd, and at most one" for f in (Elementary.tanh, Elementary.erf), T in (Float32, Float64)
        x = points(T, 0, 30)
        @test all(f.(-x) .=== .-f.(x))
        @test all(abs.(f.(x)) .<= 1)
    end

    @testset "$name says what it serves, $T" for T in (Float32, Float64), name in (:sin, :cos)
        quick, whole = getfield(Elementary, Symbol(:quick_, name)), getfield(Elementary, name)
        x = filter(Elementary.is_reducible, [arguments(name, T); T(NaN)])
        @test isequal(quick.(x), whole.(x))
        @test maximum(abs, filter(!isnan, x)) == T(2.0^48)
        @test !any(Elementary.is_reducible, T[Inf, -Inf, nextfloat(T(2.0^48)), -1.0e30])
    end

    quick(name) = getfield(Elementary, name in (:sin, :cos) ? Symbol(:quick_, name) : name)
    @testset "loops over $name become SIMD instructions, $T" for T in (Float32, Float64), name in keys(REFERENCES)
        f = quick(name)
        ir = sprint(io -> code_llvm(io, apply!, Tuple{typeof(f), Ptr{T}, Ptr{T}, Int}; debuginfo = :none))
        @test occursin(T === Float64 ? r"<\d+ x double>" : r"<\d+ x float>", ir)
        x = T.(0.1:0.1:0.9)
        out, allocated = looped(f, x)
        @test out ≈ f.(x)
        @test allocated == 0
    end
end

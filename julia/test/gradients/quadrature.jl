# Integrals in closed form, of functions that no fixed rule over so long a step would find.

"""Stands for an integrator whose adjoint variable is `exp(t)`."""
struct Exponential
    tprev::Float64
    t::Float64
end

(::Exponential)(out, t) = fill!(out, exp(t))

function integral(integrand, from, to; knots = Float64[], abstol = 1.0e-12, reltol = 1.0e-10)
    evaluated = Ref(0)
    function counted(out, t, λ)
        evaluated[] += 1
        return integrand(out, t, λ)
    end
    quadrature = PyODEBridge.Quadrature(counted, knots, 1, zeros(2), abstol, reltol)
    PyODEBridge.add!(quadrature, Exponential(from, to), from, to)
    return quadrature.total, evaluated[]
end

@testset "quadrature" begin
    @testset "from $from to $to" for (from, to) in ((0.0, 3.0), (3.0, 0.0))
        sign = to > from ? 1 : -1
        smooth(out, t, λ) = (out[1] = only(λ); out[2] = 1; nothing)
        found, evaluated = integral(smooth, from, to)
        @test found ≈ sign .* [exp(3) - 1, 3] rtol = 1.0e-9
        @test evaluated < 400

        fast(out, t, λ) = (out[1] = only(λ) * sin(200t); out[2] = 0; nothing)
        antiderivative(t) = exp(t) * (sin(200t) - 200cos(200t)) / (1 + 200^2)
        found, _ = integral(fast, from, to)
        @test found[1] ≈ sign * (antiderivative(3) - antiderivative(0)) rtol = 1.0e-9
        @test found[2] == 0

        jumping(out, t, λ) = (out[1] = t > 1.234 ? only(λ) : 0; out[2] = t > 1.234; nothing)
        found, evaluated = integral(jumping, from, to)
        @test found ≈ sign .* [exp(3) - exp(1.234), 3 - 1.234] rtol = 1.0e-9
        @test evaluated < 4000

        bending(out, t, λ) = (out[1] = max(t - 1.1, 0); out[2] = abs(t - 2.2); nothing)
        found, _ = integral(bending, from, to)
        @test found ≈ sign .* [1.9^2 / 2, (2.2^2 + 0.8^2) / 2] rtol = 1.0e-8

        pulse(out, t, λ) = (out[1] = exp(-((t - 2.1) / 0.001)^2); out[2] = 0; nothing)
        found, _ = integral(pulse, from, to; knots = [0.0; range(2.09, 2.11; length = 60); 3.0])
        @test found[1] ≈ sign * 0.001 * sqrt(pi) rtol = 1.0e-8
    end
    @testset "each parameter by itself" begin
        scaled(out, t, λ) = (out[1] = 1.0e6 * cos(t); out[2] = 1.0e-6 * cos(50t); nothing)
        found, _ = integral(scaled, 0.0, 3.0; abstol = 0.0)
        @test found ≈ [1.0e6 * sin(3), 1.0e-6 * sin(150) / 50] rtol = 1.0e-8
        @test found[2] ≈ 1.0e-6 * sin(150) / 50 rtol = 1.0e-8
    end
    @testset "single precision ends" begin
        fast(out, t, λ) = (out[1] = sin(50 * Float32(t)); out[2] = t > 1; nothing)
        quadrature = PyODEBridge.Quadrature(fast, Float64[], 1, zeros(Float32, 2), 0.0f0, 1.0f-9)
        PyODEBridge.add!(quadrature, Exponential(0.0, 3.0), 0.0, 3.0)
        @test quadrature.total ≈ [(1 - cos(150)) / 50, 2] rtol = 1.0e-3
    end
end

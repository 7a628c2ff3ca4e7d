# Functions of a number where torch and Base differ.

using PyODEBridge: Kernels

@testset "functions of a number" begin
    @testset "outside of their domain, functions are NaN" begin
        for (f, x) in (
                (Kernels.sqrt, -1.0), (Kernels.log, -1.0), (Kernels.log1p, -2.0), (Kernels.sin, Inf),
                (Kernels.asin, 2.0), (Kernels.acosh, 0.5), (Kernels.atanh, 2.0), (x -> Kernels.pow(x, 0.5), -1.0),
            )
            @test isnan(f(x))
        end
        @test isnan(Kernels.maximum(NaN, 1.0)) && isnan(Kernels.maximum(1.0, NaN))
        @test isnan(Kernels.minimum(NaN, 1.0)) && isnan(Kernels.minimum(1.0, NaN))
        @test isnan(Kernels.relu(NaN))
    end

    @testset "powers of negative numbers and quotients by zero do not throw" begin
        @test Kernels.pow(-2.0, Inf) == Inf && Kernels.pow(-0.5, Inf) == 0 && Kernels.pow(-Inf, 0.5) == Inf
        @test isnan(Kernels.pow(-1.0, NaN))
        for divide in (Kernels.fmod, Kernels.remainder, Kernels.floor_divide, Kernels.truncate_divide)
            @test divide(3, 0) == 0
        end
        @test Kernels.floor_divide(1.0, 0.1) == 9
        @test Kernels.floor_divide(-1.0, 0.0) == -Inf
    end

    @testset "whole powers" begin
        @test Kernels.whole_power(3.0, Val(5)) == 243
        @test Kernels.whole_power(2.0, Val(-2)) == 0.25
        @test Kernels.whole_power(0.0, Val(0)) == 1
    end
end

# What translated dynamics call, and translated dynamics themselves.

using PyODEBridge: Kernels

"""`a * b` of row-major data by `product!`, with operands laid out row by row, or transposed."""
function multiplied(::Type{T}, m, n, k; a_transposed, b_transposed) where {T}
    a, b, c = rand(T, m, k), rand(T, k, n), zeros(T, n, m) # c is read as the transpose of what lies row by row
    first, am, ak = a_transposed ? (vec(a), 1, m) : (vec(permutedims(a)), k, 1)
    second, bk, bn = b_transposed ? (vec(b), 1, k) : (vec(permutedims(b)), n, 1)
    GC.@preserve first second c Kernels.product!(
        pointer(c), pointer(first), pointer(second), m, n, k, am, ak, bk, bn
    )
    return permutedims(c), a * b
end

@testset "kernels" begin
    @testset "products, $T, ($m, $k) by ($k, $n)" for T in (Float32, Float64),
            (m, n, k) in ((1, 50, 2), (4, 3, 17), (2, 2, 1), (40, 30, 50)),
            a_transposed in (false, true), b_transposed in (false, true)

        found, true_ = multiplied(T, m, n, k; a_transposed, b_transposed)
        @test found ≈ true_
    end

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

    @testset "a compiled function counts its calls, allocates nothing and ends where it is told to" begin
        source = """
        function rhs(out::Ptr{Float64}, y::Ptr{Float64}, s::Float64, env::Ptr{Int})::Cint
            begin_call(env, 6, s) || return Cint(-1)
            unsafe_store!(out, exp(unsafe_load(y, 1)), 1)
            return Cint(0)
        end
        """
        compiled = Ptr{Cvoid}(only(PyODEBridge.compile(source, "float64", [("rhs", 2)])))
        env, out, y = zeros(Int, 9), zeros(1), [1.0]
        env[Kernels.TICK] = Int(@cfunction(PyODEBridge.stopping, Cint, (Cdouble,)))
        env[Kernels.LEFT] = 100
        f = PyODEBridge.RightHandSide(PyODEBridge.one_vector(compiled, pointer(env)))
        GC.@preserve env begin
            @test allocations(f, out, y) == 0
            @test out[1] ≈ exp(1.0)
            @test env[6] == 2
            env[Kernels.LEFT] = 1
            PyODEBridge.STOPPING[] = true
            @test_throws PyODEBridge.CallbackError f(out, y, nothing, 0.0)
            PyODEBridge.STOPPING[] = false
        end
    end
end

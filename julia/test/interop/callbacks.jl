# The dynamics as C functions, of arrays of every kind.

@testset "callbacks" begin
    f = PyODEBridge.RightHandSide(callbacks().c_rhs)
    du, u = zeros(2), [1.0, 3.0]
    f(du, u, nothing, 0.0)
    @test du == -RATE .* u
    @test allocations(f, du, u) == 0
    @test @inferred(f(du, u, nothing, 0.0)) === nothing

    @testset "views cross without a copy, other arrays with one" begin
        whole = zeros(6)
        f(view(whole, 3:4), view([9.0, 1.0, 3.0, 9.0], 2:3), nothing, 0.0)
        @test whole == [0, 0, -2, -6, 0, 0]
        strided = zeros(4)
        f(view(strided, 1:2:3), [1.0, 3.0], nothing, 0.0)
        @test strided == [-2, 0, -6, 0]
    end

    @testset "float32" begin
        pointer32 = @cfunction(rhs32, Cint, (Ptr{Float32}, Ptr{Float32}, Cdouble, Ptr{Cvoid}))
        f32 = PyODEBridge.RightHandSide(PyODEBridge.one_vector(pointer32))
        du32 = zeros(Float32, 2)
        f32(du32, Float32[1, 3], nothing, 0.0)
        @test du32 == Float32[-2, -6]
    end

    @testset "a failing callback is an error" begin
        pointer = @cfunction(failing, Cint, (Ptr{Float64}, Ptr{Float64}, Cdouble, Ptr{Cvoid}))
        broken = PyODEBridge.RightHandSide(PyODEBridge.one_vector(pointer))
        @test_throws PyODEBridge.CallbackError broken(du, u, nothing, 0.0)
    end

    @testset "numbers that are not real floats are refused" begin
        @test_throws PyODEBridge.UnsupportedError f([1 // 2, 1 // 3], [1 // 2, 1 // 3], nothing, 0.0)
    end
end

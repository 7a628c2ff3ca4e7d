# Translated dynamics as C functions.

using PyODEBridge: Kernels

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
    env[Kernels.TICK] = Int(@cfunction(PyODEBridge.ensemble_tick, Cint, (Cdouble,)))
    env[Kernels.LEFT] = 100
    f = PyODEBridge.RightHandSide(PyODEBridge.one_vector(compiled, pointer(env)))
    GC.@preserve env begin
        @test allocations(f, out, y) == 0
        @test out[1] ≈ exp(1.0)
        @test env[6] == 2
        env[Kernels.LEFT] = 1
        PyODEBridge.STOP_REQUESTED[] = true
        @test_throws PyODEBridge.CallbackError f(out, y, nothing, 0.0)
        PyODEBridge.STOP_REQUESTED[] = false
    end
end

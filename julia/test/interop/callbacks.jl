# The border itself: `du/dt = -2u` and its products as C functions, as Python would give them.

const RATE = 2.0

function c_rhs(du::Ptr{T}, u::Ptr{T}, n::Int)::Cint where {T}
    for i in 1:n
        unsafe_store!(du, -T(RATE) * unsafe_load(u, i), i)
    end
    return 0
end

rhs64(du::Ptr{Float64}, u::Ptr{Float64}, t::Cdouble, env::Ptr{Cvoid})::Cint = c_rhs(du, u, 2)
rhs32(du::Ptr{Float32}, u::Ptr{Float32}, t::Cdouble, env::Ptr{Cvoid})::Cint = c_rhs(du, u, 2)
vjp64(out::Ptr{Float64}, v::Ptr{Float64}, u::Ptr{Float64}, t::Cdouble, env::Ptr{Cvoid})::Cint = c_rhs(out, v, 2)

# One parameter, the rate: vᵀ ∂f/∂rate = -v'u.
function vjp_p64(out::Ptr{Float64}, v::Ptr{Float64}, u::Ptr{Float64}, t::Cdouble, env::Ptr{Cvoid})::Cint
    unsafe_store!(out, -sum(unsafe_load(v, i) * unsafe_load(u, i) for i in 1:2))
    return 0
end

function jacobian64(J::Ptr{Float64}, u::Ptr{Float64}, t::Cdouble, env::Ptr{Cvoid})::Cint
    for (i, value) in enumerate((-RATE, 0.0, 0.0, -RATE))
        unsafe_store!(J, value, i)
    end
    return 0
end

failing(du::Ptr{Float64}, u::Ptr{Float64}, t::Cdouble, env::Ptr{Cvoid})::Cint = 1

c_functions() = (
    @cfunction(rhs64, Cint, (Ptr{Float64}, Ptr{Float64}, Cdouble, Ptr{Cvoid})),
    @cfunction(vjp64, Cint, (Ptr{Float64}, Ptr{Float64}, Ptr{Float64}, Cdouble, Ptr{Cvoid})),
    @cfunction(vjp_p64, Cint, (Ptr{Float64}, Ptr{Float64}, Ptr{Float64}, Cdouble, Ptr{Cvoid})),
    @cfunction(jacobian64, Cint, (Ptr{Float64}, Ptr{Float64}, Cdouble, Ptr{Cvoid})),
)

decay() = ordinary_equation(map(UInt, c_functions()), (0, 0, 0, 0), "float64", 2, 0, 0, 0)

callbacks() = PyODEBridge.callbacks(c_functions())

function allocations(f, du, u)
    f(du, u, nothing, 0.0)
    return @allocated f(du, u, nothing, 0.0)
end

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

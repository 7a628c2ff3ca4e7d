# Dynamics for tests: `du/dt = -2u` and its products as C functions, as Python would give them.

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

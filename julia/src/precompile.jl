# What the first solves of a session compile, over the very types that Python passes (its numbers arrive as Int), so that
# they wait less: solves without and with their adjoints, by the solvers that are loaded with the package. Others are
# loaded when they are asked for, and what they compile cannot be kept here.

function workload_rhs(du::Ptr{Float64}, u::Ptr{Float64}, t::Cdouble, env::Ptr{Cvoid})::Cint
    unsafe_store!(du, -unsafe_load(u))
    return 0
end

function workload_product(
        out::Ptr{Float64}, v::Ptr{Float64}, u::Ptr{Float64}, t::Cdouble, env::Ptr{Cvoid}
    )::Cint
    unsafe_store!(out, -unsafe_load(v))
    return 0
end

function workload(name, sense)
    u0, t, ys, grads, dy0, dp = [1.0], [0.0, 0.5, 1.0], zeros(1, 3), ones(1, 3), zeros(1), zeros(1)
    rhs = @cfunction(workload_rhs, Cint, (Ptr{Float64}, Ptr{Float64}, Cdouble, Ptr{Cvoid}))
    product = @cfunction(
        workload_product, Cint, (Ptr{Float64}, Ptr{Float64}, Ptr{Float64}, Cdouble, Ptr{Cvoid})
    )
    address(array) = Int(pointer(array))
    equation = ordinary_equation(map(Int ∘ UInt, (rhs, product, product, rhs)), (0, 0, 0, 0), "float64", 1, 0, 0, 0)
    control = step_control(;
        dt = nothing, dtmin = nothing, dtmax = nothing, maxiters = 1000, adaptive = nothing, norm = "rms",
        controller = nothing
    )
    alg = algorithm(name)
    sensealg = sense === nothing ? nothing : sensitivity_algorithm(sense; abstol = 1.0e-6, reltol = 1.0e-6)
    GC.@preserve u0 t ys grads dy0 dp begin
        solved, = solve_and_report(
            equation, "float64", address(u0), 1, 1, address(t), 3, address(ys), alg, 1.0e-6, 1.0e-6, control, sensealg,
            false
        )
        sensealg === nothing || pull_back(
            solved, address(grads), address(dy0), 1, address(dp), backward_algorithm(equation, alg), sensealg, 1.0e-6,
            1.0e-6, control
        )
    end
    return nothing
end

@compile_workload begin
    for name in ("Tsit5", "DP5"), sense in (nothing, "InterpolatingAdjoint", "BacksolveAdjoint", "GaussAdjoint")
        workload(name, sense)
    end
end

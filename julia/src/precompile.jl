# A Tsit5 and a DP5 solve with each adjoint, over the very types that Python uses, so that the first solve of a session
# does not wait for the compiler.

function workload_rhs(du::Ptr{Float64}, u::Ptr{Float64}, t::Cdouble)::Cint
    unsafe_store!(du, -unsafe_load(u))
    return 0
end

function workload_product(out::Ptr{Float64}, v::Ptr{Float64}, u::Ptr{Float64}, t::Cdouble)::Cint
    unsafe_store!(out, -unsafe_load(v))
    return 0
end

@setup_workload begin
    u0, t, ys, out = [1.0], [0.0, 0.5, 1.0], zeros(1, 3), zeros(1)
    grads = ones(1, 3)
    @compile_workload begin
        rhs = @cfunction(workload_rhs, Cint, (Ptr{Float64}, Ptr{Float64}, Cdouble))
        product = @cfunction(workload_product, Cint, (Ptr{Float64}, Ptr{Float64}, Ptr{Float64}, Cdouble))
        pointers = map(UInt, (rhs, product, product, rhs))
        control = step_control(; maxiters = 1000)
        for name in ("Tsit5", "DP5"), sense in ("InterpolatingAdjoint",)
            alg = algorithm(name)
            sensealg = sensitivity_algorithm(sense; abstol = 1.0e-6, reltol = 1.0e-6)
            solved = GC.@preserve u0 t ys grads out begin
                solve_callbacks(
                    pointers, "float64", UInt(pointer(u0)), 1, 1, UInt(pointer(t)), 3, UInt(pointer(ys)), alg, 1.0e-6,
                    1.0e-6, control, sensealg, 0, false
                )
            end
            GC.@preserve grads out pull_back(
                solved, UInt(pointer(grads)), UInt(pointer(out)), UInt(pointer(out)), alg, sensealg, 1.0e-6, 1.0e-6,
                control
            )
        end
    end
end

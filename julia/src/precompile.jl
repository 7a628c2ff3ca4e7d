# Tsit5 and DP5 solves with their adjoints, over the very types that Python uses, so that the first solve of a session
# waits less for the compiler.
#
# The adjoint is called below its public function `adjoint_sensitivities`. That one also compiles the automatic choice
# of vector-Jacobian products, which the bridge never uses, with types of ReverseDiff; and a package image that holds
# these ends the process when it is loaded, at times (JuliaLang/julia#62047).

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

function pull_back_workload(sol, sensealg::BacksolveAdjoint, alg, grads, t)
    control = step_control(; maxiters = 1000)
    return solve_back!(zeros(1), zeros(1), sol, grads, t, alg, sensealg; abstol = 1.0e-6, reltol = 1.0e-6, control)
end

function pull_back_workload(sol, sensealg, alg, grads, t)
    return SciMLSensitivity._adjoint_sensitivities(
        sol, sensealg, Watched(alg);
        t = t[2:end], dgdu_discrete = LossGradients(grads), abstol = 1.0e-6, reltol = 1.0e-6, maxiters = 1000
    )
end

function workload()
    u0, t, ys, grads = [1.0], [0.0, 0.5, 1.0], zeros(1, 3), ones(1, 3)
    rhs = @cfunction(workload_rhs, Cint, (Ptr{Float64}, Ptr{Float64}, Cdouble, Ptr{Cvoid}))
    product = @cfunction(
        workload_product, Cint, (Ptr{Float64}, Ptr{Float64}, Ptr{Float64}, Cdouble, Ptr{Cvoid})
    )
    pointers = map(UInt, (rhs, product, product, rhs))
    for name in ("Tsit5", "DP5"), sense in ("InterpolatingAdjoint", "BacksolveAdjoint", "GaussAdjoint")
        alg = algorithm(name)
        sensealg = sensitivity_algorithm(sense; abstol = 1.0e-6, reltol = 1.0e-6)
        solved = GC.@preserve u0 t ys solve_equation(
            ordinary_equation(pointers, (0, 0, 0, 0), "float64", 1, 0, 0, 0),
            "float64", UInt(pointer(u0)), 1, 1, UInt(pointer(t)), 3, UInt(pointer(ys)), alg, 1.0e-6, 1.0e-6,
            step_control(; maxiters = 1000), sensealg, false
        )
        GC.@preserve u0 t ys pull_back_workload(solved.sol, sensealg, alg, grads, t)
    end
    return nothing
end

@compile_workload workload()

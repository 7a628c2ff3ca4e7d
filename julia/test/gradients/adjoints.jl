# `du/dt = -r u` from u(0) = u0: u(t) = u0 exp(-r t), so that d/du0 and d/dr of a weighted sum are in closed form.

function gradients(name, sense; tolerance = 1.0e-10)
    u0, t, ys = [1.0, 3.0], [0.0, 0.3, 1.0], zeros(2, 3)
    grads, dy0, dp = [1.0 2.0 3.0; -1.0 0.5 1.0], zeros(2), zeros(1)
    alg, sensealg = algorithm(name), sensitivity_algorithm(sense; abstol = tolerance, reltol = tolerance)
    control = step_control(; maxiters = 10_000)
    address(x) = UInt(pointer(x))
    GC.@preserve u0 t ys grads dy0 dp begin
        solved = solve_equation(
            decay(), "float64", address(u0), 2, 1,
            address(t), 3, address(ys), alg, tolerance, tolerance, control, sensealg, false
        )
        retcode, _, error, _ = pull_back(
            solved, address(grads), address(dy0), 2, address(dp), alg, sensealg, tolerance, tolerance, control
        )
    end
    @test retcode == "Success"
    @test error <= 1.0e-6
    exact = exp.(-RATE .* t)
    @test ys ≈ u0 * exact' rtol = 1.0e-8
    @test dy0 ≈ grads * exact rtol = 1.0e-6
    @test only(dp) ≈ -sum(grads .* (u0 * (t .* exact)')) rtol = 1.0e-6
    @test solved.retcode == "Success"
    return solved
end

@testset "adjoints" begin
    @testset "$name, $sense" for name in ("Tsit5", "Vern7"),
            sense in (
                "InterpolatingAdjoint", "InterpolatingAdjoint(checkpointing = true)", "BacksolveAdjoint",
                "QuadratureAdjoint", "GaussAdjoint", "GaussKronrodAdjoint", "ForwardSensitivity",
                "ForwardDiffSensitivity", "ForwardDiffSensitivity(chunk_size=2)",
            )
        gradients(name, sense)
    end
    @testset "$name, checkpointed" for name in ("AutoVern7(Rodas5P())", "BS5")
        gradients(name, "InterpolatingAdjoint(checkpointing = true)")
    end
    @testset "$name" for name in ("Rodas5P", "FBDF")
        solved = gradients(name, "GaussAdjoint"; tolerance = 1.0e-9)
        @test solved.njac > 0
    end
    @testset "$sense that ends early" for sense in (
            "InterpolatingAdjoint", "BacksolveAdjoint", "ForwardSensitivity", "ForwardDiffSensitivity",
        )
        alg, sensealg = algorithm("Tsit5"), sensitivity_algorithm(sense; abstol = 1.0e-8, reltol = 1.0e-8)
        u0, t, ys, dy0, dp = [1.0, 3.0], [0.0, 3.0], zeros(2, 2), zeros(2), zeros(1)
        address(x) = UInt(pointer(x))
        GC.@preserve u0 t ys dy0 dp begin
            solved = solve_equation(
                decay(), "float64", address(u0), 2, 1,
                address(t), 2, address(ys), alg, 1.0e-8, 1.0e-8, step_control(; maxiters = 1000), sensealg, false
            )
            few = step_control(; maxiters = 3)
            retcode, reached, _, _ = pull_back(
                solved, address(ys), address(dy0), 2, address(dp), alg, sensealg, 1.0e-8, 1.0e-8, few
            )
        end
        @test retcode == "MaxIters"
        @test 0 < reached < 3
    end
end

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

@testset "a mismatch is the largest, in tolerances, of which there may be none" begin
    for (abstol, reltol) in ((1.0e-6, 1.0e-6), (0.0, 1.0e-6))
        values = [[0.0, 0.0], [10.0, 0.0], [1.0, 0.0]]
        found = PyODEBridge.Mismatch{Float64}([0.0, 1.0, 2.0], values, abstol, reltol, 0.0, 0.0, 0.0)
        for (t, u) in ((0.0, [0.0, 0.0]), (1.0, [10.1, 0.0]), (2.0, [1.05, 0.0]))
            found((; t, u))
        end
        @test found.t == 2
        @test found.error ≈ 0.05
        @test found.size == 1
    end
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
    @testset "the choice" begin
        equation = decay()
        choice(name, n, np) = first(PyODEBridge.chosen_sensealg(equation, algorithm(name), algorithm(name), n, np))
        @test choice("Tsit5", 2, 10) == "InterpolatingAdjoint"
        @test choice("Tsit5", 2, 1000) == "GaussAdjoint"
        @test choice("Tsit5", 2000, 1000) == "InterpolatingAdjoint"
        @test choice("Rodas5P", 2, 10) == "GaussAdjoint"
        @test choice("KenCarp4", 2, 10) == "InterpolatingAdjoint"
    end
    @testset "the backward solver for $name" for (name, chosen) in (
            "Tsit5" => "", "DP5" => "", "Vern7" => "", "BS3" => "", "Rodas5P" => "Rodas5P", "FBDF" => "Rodas5P",
            "Rosenbrock23" => "Rodas5P", "KenCarp4" => "Rodas5P", "ROCK4" => "Rodas5P", "RK4" => "Vern7", "VCABM" => "Vern7",
            "AutoTsit5(Rosenbrock23())" => "Rodas5P", "KahanLi8" => "",
        )
        found = PyODEBridge.chosen_backward(algorithm(name), 10, false)
        @test found == chosen || (chosen == name && found == "")
    end
    @testset "no large matrices" begin
        @test PyODEBridge.chosen_backward(algorithm("FBDF"), 10_000, false) == ""
        @test PyODEBridge.chosen_backward(algorithm("FBDF"), 10_000, true) == "Rodas5P"
        for (name, none) in ("FBDF" => false, "Tsit5" => false, "FBDF(linsolve=KrylovJL_GMRES())" => true)
            @test PyODEBridge.keeps_no_matrix(algorithm(name)) == none
        end
    end
end

@testset "tableaus" begin
    midpoint = PyODEBridge.tableau(algorithm("Midpoint"))
    @test midpoint.A ≈ [0 0; 0.5 0]
    @test midpoint.b ≈ [0, 1]
    @test midpoint.c ≈ [0, 0.5]
    rk4 = PyODEBridge.tableau(algorithm("RK4"))
    @test rk4.b ≈ [1 / 6, 1 / 3, 1 / 3, 1 / 6]
    @test rk4.A ≈ [0 0 0 0; 0.5 0 0 0; 0 0.5 0 0; 0 0 1 0]
    for name in ("Euler", "Heun", "BS3", "DP5", "Tsit5", "Vern7", "SSPRK43", "OwrenZen5") # consistent, each stage too
        found = PyODEBridge.tableau(algorithm(name))
        @test sum(found.b) ≈ 1
        @test vec(sum(found.A; dims = 2)) ≈ found.c
        @test found.b' * found.c ≈ (name == "Euler" ? 0 : 0.5) atol = 1.0e-12
    end
    @test_throws PyODEBridge.UnsupportedError PyODEBridge.tableau(algorithm("Rodas5P"))
end

# Tableaus read off the solvers, beside published ones.

@testset "tableaus" begin
    function tableau(name)
        method = PyODEBridge.explicit_method(algorithm(name))
        (; A, b, c) = method.tableau
        steps = 1:(method.stages)
        return PyODEBridge.Tableau(A[steps, steps], b[steps], c[steps])
    end
    midpoint = tableau("Midpoint")
    @test midpoint.A ≈ [0 0; 0.5 0]
    @test midpoint.b ≈ [0, 1]
    @test midpoint.c ≈ [0, 0.5]
    rk4 = tableau("RK4")
    @test rk4.b ≈ [1 / 6, 1 / 3, 1 / 3, 1 / 6]
    @test rk4.A ≈ [0 0 0 0; 0.5 0 0 0; 0 0.5 0 0; 0 0 1 0]
    for name in ("Euler", "Heun", "BS3", "DP5", "Tsit5", "Vern7", "SSPRK43", "OwrenZen5") # consistent, each stage too
        found = tableau(name)
        @test sum(found.b) ≈ 1
        @test vec(sum(found.A; dims = 2)) ≈ found.c
        @test found.b' * found.c ≈ (name == "Euler" ? 0 : 0.5) atol = 1.0e-12
    end
    @testset "between the ends of a step of $name" for name in ("BS3", "DP5", "Tsit5", "Vern7", "OwrenZen5", "RK4")
        method = PyODEBridge.explicit_method(algorithm(name))
        for θ in (0.0, 0.2, 0.7, 1.0)
            weights = PyODEBridge.weights_at(method, θ)[eachindex(method.tableau.c)]
            @test sum(weights) ≈ θ atol = 1.0e-12 # what integrates 1, and t
            @test weights' * method.tableau.c ≈ θ^2 / 2 atol = 1.0e-12
        end
        @test PyODEBridge.weights_at(method, 1.0)[eachindex(method.tableau.b)] ≈ method.tableau.b atol = 1.0e-12
    end
    @testset "$name has none" for name in ("Rodas5P", "VCABM", "ROCK4")
        @test_throws PyODEBridge.UnsupportedError PyODEBridge.explicit_method(algorithm(name))
    end
end

@testset "checkpoints after $steps steps" for steps in (1, 2, 7, 100, 1000, 12345)
    checkpoints = PyODEBridge.Checkpoints([0.0], 0.0)
    foreach(t -> checkpoints([Float64(t)], Float64(t), nothing), 1:steps)
    (; kept, stride) = checkpoints
    @test checkpoints.t == 0:steps
    @test only.(kept) == 0:stride:steps
    @test length(kept) + stride <= 2.2 * sqrt(steps) + 3
end

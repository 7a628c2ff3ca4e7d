# Tableaus read off the solvers, beside published ones.

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

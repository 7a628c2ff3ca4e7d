# What runs where no sensitivity algorithm, or no solver of the backward solve, is named.

@testset "choices" begin
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
            "AutoTsit5(Rosenbrock23())" => "Rodas5P", "KahanLi8" => "Vern9", "MagnusGL6" => "Vern7",
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

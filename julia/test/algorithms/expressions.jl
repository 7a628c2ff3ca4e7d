# Expressions that name solvers.

@testset "expressions" begin
    @test nameof(typeof(algorithm("Tsit5"))) === :Tsit5
    @test nameof(typeof(algorithm("Tsit5()"))) === :Tsit5
    @test nameof(typeof(algorithm(" Vern7(lazy = false) "))) === :Vern7
    @test !algorithm("Vern7(lazy = false)").lazy
    @test nameof(typeof(algorithm("AutoTsit5(Rosenbrock23())"))) === :CompositeAlgorithm
    @test nameof(typeof(algorithm("KenCarp4(linsolve = KrylovJL_GMRES())").linsolve)) === :KrylovJL

    @testset "finite differences, and nothing else" begin
        @test nameof(typeof(algorithm("Rodas5P").autodiff)) === :AutoFiniteDiff
        @test_throws PyODEBridge.UnsupportedError algorithm("Rodas5P(autodiff = AutoForwardDiff())")
        made = Base.invokelatest(PyODEBridge.find_exported(:Rodas5P, ["OrdinaryDiffEqRosenbrock"]))
        @test nameof(typeof(made.autodiff)) === :AutoForwardDiff
        @test nameof(typeof(algorithm(made).autodiff)) === :AutoFiniteDiff
    end

    @testset "unknown names carry the known ones" begin
        err = try
            algorithm("Tsit55")
        catch e
            e
        end
        @test err isa PyODEBridge.UnknownNameError
        @test err.name == "Tsit55"
        @test "Tsit5" in err.known && "Rodas5P" in err.known
    end

    @testset "nothing is evaluated: $text" for text in ("exit()", "run(`true`)", "Tsit5(); exit()", "1 + 1", "x -> x")
        @test_throws Union{PyODEBridge.UnsupportedError, PyODEBridge.UnknownNameError} algorithm(text)
    end

    @testset "wrong kinds" begin
        @test_throws PyODEBridge.UnsupportedError algorithm("LUFactorization")
        @test_throws PyODEBridge.UnsupportedError algorithm("Tsit5(nosuch = 1)")
        @test_throws PyODEBridge.UnsupportedError sensitivity_algorithm("ZygoteVJP"; abstol = 1e-6, reltol = 1e-6)
        @test_throws PyODEBridge.UnsupportedError sensitivity_algorithm(
            "ReverseDiffAdjoint"; abstol = 1e-6, reltol = 1e-6
        )
    end

    @test "Rodas5P" in exported_names("OrdinaryDiffEqRosenbrock")
end

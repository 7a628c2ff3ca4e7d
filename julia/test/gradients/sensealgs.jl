# Sensitivity algorithms by name.

@testset "SciMLSensitivity's come with the extension, which heeds the package's preferences" begin
    @test PyODEBridge.load_extension() === nothing
    @test Sensitivities isa Module
    @test Sensitivities.PrecompileTools.workload_enabled(PyODEBridge) isa Bool
end

@testset "quadrature follows the tolerances" begin
    @test sensitivity_algorithm("QuadratureAdjoint"; abstol = 1e-9, reltol = 1e-8).abstol == 1e-9
    @test sensitivity_algorithm("QuadratureAdjoint(abstol = 1e-3)"; abstol = 1e-9, reltol = 1e-8).abstol == 1e-3
end

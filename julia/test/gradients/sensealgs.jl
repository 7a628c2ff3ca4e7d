# Sensitivity algorithms by name.

@testset "quadrature follows the tolerances" begin
    @test sensitivity_algorithm("QuadratureAdjoint"; abstol = 1e-9, reltol = 1e-8).abstol == 1e-9
    @test sensitivity_algorithm("QuadratureAdjoint(abstol = 1e-3)"; abstol = 1e-9, reltol = 1e-8).abstol == 1e-3
end

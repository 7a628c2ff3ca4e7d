# Solvers of each kind of equation.

@testset "each kind of equation has its solvers" begin
    @test_throws "pyode_bridge.daeint" algorithm("DFBDF")
    @test_throws "not a solver of differential-algebraic" algorithm("Tsit5", "DAE")
    @test algorithm("DFBDF", "DAE") isa PyODEBridge.KINDS["DAE"].type
end

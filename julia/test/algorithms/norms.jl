# Norms of errors.

@testset "norms" begin
    named(norm; sizes = (), parameters = 0) = step_control(; norm, sizes, parameters).norm
    u = [3.0, 4.0, 0.0, 0.0, 12.0]
    @test named("rms")(u, 0.0) ≈ sqrt(sum(abs2, u) / 5)
    @test named("rms")(-2.0, 0.0) == 2
    @test named("max")(u, 0.0) == 12
    @test named("rms"; sizes = (2, 3))(u, 0.0) ≈ max(sqrt(25 / 2), sqrt(144 / 3))
    # of an adjoint of two components, two parameters and the state
    back = [3.0, 4.0, 100.0, 100.0, 0.0, 1.0]
    @test named("rms"; sizes = (2,), parameters = 2)(back, 0.0) == 100
    @test named("seminorm"; sizes = (2,), parameters = 2)(back, 0.0) ≈ sqrt(25 / 2)
    @test named("seminorm"; sizes = (2,), parameters = 2)(Float32[3, 4], 0.0) isa Float32
end

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

@testset "the largest of several trajectories" begin
    of(norm, u) = norm(u, 0.0)
    told(sizes; lanes, parameters = 0) = step_control(; sizes, lanes, parameters).norm
    alone(rows) = maximum(sqrt(sum(abs2, row) / length(row)) for row in eachrow(rows))
    for lanes in (2, 7, 8, 9, 16, 27), components in (1, 2, 5), T in (Float32, Float64)
        rows = [T(sin(3i + j^2)) for i in 1:lanes, j in 1:components]
        norm = told((lanes * components,); lanes)
        @test of(norm, vec(rows)) ≈ alone(rows)
        @test of(norm, rows) isa T
        for place in eachindex(rows)
            broken = copy(rows)
            broken[place] = NaN
            @test isnan(of(norm, vec(broken)))
        end
    end
    first, second = [3.0 0.0; 0.0 4.0], reshape([1.0, 2.0], 2, 1)
    @test of(told((4, 2); lanes = 2), [vec(first); vec(second)]) ≈ 4 / sqrt(2)
    adjoint = [vec(first); [9.0, -10.0, 1.0]; vec(first)] # with three parameters
    @test of(told((4,); lanes = 2, parameters = 3), adjoint) == 10
    seminorm = step_control(; norm = "seminorm", sizes = (4,), lanes = 2, parameters = 3).norm
    @test of(seminorm, adjoint) ≈ 4 / sqrt(2)
end

# A state that was solved for again, backwards in time, beside the solution.

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

# Steps by numbers, of `u' = -2u`, beside their stability functions.

const EULER = ("euler", ((0.0,),), (1.0,), (0.0,), 1)
const KUTTA = (
    "rk4", ((0.0, 0.0, 0.0, 0.0), (1 / 3, 0.0, 0.0, 0.0), (-1 / 3, 1.0, 0.0, 0.0), (1.0, -1.0, 1.0, 0.0)),
    (1 / 8, 3 / 8, 3 / 8, 1 / 8), (0.0, 1 / 3, 2 / 3, 1.0), 4,
)
const TRAPEZOID = ("trapezoid", ((0.0, 0.0), (0.5, 0.5)), (0.5, 0.5), (0.0, 1.0), 2)

"The end of steps along a grid, and the gradient of its sum, by the initial state and the rate."
function end_and_gradients(alg, grid, sense; cotangents = ones(2, 1))
    u0, t, ys = [1.0, 2.0], [grid[1], grid[end]], zeros(2, 2)
    forward, back = (step_control(; adaptive = false, grid = (UInt(pointer(g)), length(g))) for g in (grid, reverse(grid)))
    sensealg = sensitivity_algorithm(sense; abstol = 1.0e-8, reltol = 1.0e-8)
    grads, dy0, dp = [zeros(2) ones(2)], zeros(2), zeros(1)
    GC.@preserve u0 t ys grads dy0 dp begin
        solved = solve_equation(
            decay(), "float64", UInt(pointer(u0)), 2, 1, UInt(pointer(t)), 2, UInt(pointer(ys)), alg, 1.0e-8, 1.0e-8, forward,
            sensealg, false
        )
        pull_back(solved, UInt(pointer(grads)), UInt(pointer(dy0)), 2, UInt(pointer(dp)), alg, sensealg, 1.0e-8, 1.0e-8, back)
    end
    return ys[:, 2], dy0, dp
end

@testset "fixed steps are those of the stability function" begin
    grid = [0.0, 0.1, 0.3, 0.45]
    steps = diff(grid)
    algs = (
        (PyODEBridge.explicit_steps(EULER..., false, false), z -> 1 + z, z -> 1),
        (
            PyODEBridge.explicit_steps(KUTTA..., false, false), z -> 1 + z + z^2 / 2 + z^3 / 6 + z^4 / 24,
            z -> 1 + z + z^2 / 2 + z^3 / 6,
        ),
        (
            PyODEBridge.implicit_steps(TRAPEZOID..., false, false, 100), z -> (1 + z / 2) / (1 - z / 2),
            z -> 1 / (1 - z / 2)^2,
        ),
    )
    for (alg, R, dR) in algs
        value, dy0, dp = end_and_gradients(alg, grid, "DiscreteAdjoint")
        factor = prod(R(-RATE * h) for h in steps)
        @test value ≈ factor .* [1, 2] rtol = 1.0e-13
        @test dy0 ≈ fill(factor, 2) rtol = 1.0e-13
        @test dp[1] ≈ 3 * factor * sum(-h * dR(-RATE * h) / R(-RATE * h) for h in steps) rtol = 1.0e-12
        _, back, _ = end_and_gradients(alg, grid, "BacksolveAdjoint")
        @test back ≈ fill(factor, 2) rtol = 1.0e-13 # the adjoint's equation has the same rate
    end
end

@testset "a step's ends are asked for a rounding within it" begin
    step = PyODEBridge.Step(1.0, 2.0, true)
    @test PyODEBridge.time_at(step, 0, Float64) == nextfloat(1.0)
    @test PyODEBridge.time_at(step, 1.0, Float32) == prevfloat(2.0f0)
    @test PyODEBridge.time_at(PyODEBridge.Step(2.0, 1.0, true), 0, Float64) == prevfloat(2.0)
    @test PyODEBridge.time_at(step, 0.5, Float64) == 1.5
end

@testset "a tableau with an error estimate adapts its steps" begin
    heun = PyODEBridge.embedded_pair(((0.0, 0.0), (1.0, 0.0)), (0.5, 0.5), (0.0, 1.0), (-0.5, 0.5), 2)
    @test PyODEBridge.explicit_method(heun).tableau.b[1:2] == [0.5, 0.5]
    u0, t, ys = [1.0, 2.0], [0.0, 1.0], zeros(2, 2)
    GC.@preserve u0 t ys solve_equation(
        decay(), "float64", UInt(pointer(u0)), 2, 0, UInt(pointer(t)), 2, UInt(pointer(ys)), heun, 1.0e-8, 1.0e-8,
        step_control(), nothing, false
    )
    @test ys[:, 2] ≈ exp(-RATE) .* [1, 2] rtol = 1.0e-5
end

# States of equations in parts.

@testset "the flat state of halves" begin
    half = PyODEBridge.Half(PyODEBridge.two_vectors(c_functions()[2]))
    second_order = PyODEBridge.Partitioned(half, nothing, PyODEBridge.Ordinary(callbacks()))
    problem = PyODEBridge.problem(second_order, [1.0, 2.0, 3.0, 4.0], Float64[], (0.0, 1.0))
    @test problem.u0.x == ([3.0, 4.0], [1.0, 2.0])
    @test PyODEBridge.flatten!(zeros(4), second_order, problem.u0) == [1.0, 2.0, 3.0, 4.0]
end

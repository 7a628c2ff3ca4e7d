using PyODEBridge
using PyODEBridge: algorithm, array, catalogue, exported_names, forward, interpret, needs_dense, pull_back,
    sensitivity_algorithm, solve_callbacks, step_control
using Test

@testset "PyODEBridge" begin
    include("callbacks.jl")
    include("expressions.jl")
    include("adjoints.jl")
    include("quality.jl")
end

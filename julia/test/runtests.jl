using PyODEBridge
using PyODEBridge: algorithm, catalogue, exported_names, pull_back, sensitivity_algorithm, solve_callbacks, step_control
using Test

@testset "PyODEBridge" begin
    include("callbacks.jl")
    include("expressions.jl")
    include("adjoints.jl")
    include("quality.jl")
end

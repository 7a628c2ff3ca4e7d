using PyODEBridge
using PyODEBridge: algorithm, catalogue, exported_names, ordinary_equation, pull_back, sensitivity_algorithm,
    solve_equation, step_control
using Test

@testset "PyODEBridge" begin
    include("callbacks.jl")
    include("elementary.jl")
    include("kernels.jl")
    include("kept.jl")
    include("written.jl")
    include("equations.jl")
    include("expressions.jl")
    include("control.jl")
    include("quadrature.jl")
    include("adjoints.jl")
    include("private.jl")
    include("quality.jl")
end

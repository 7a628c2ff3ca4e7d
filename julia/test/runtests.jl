using PyODEBridge
using PyODEBridge: algorithm, catalogue, exported_names, ordinary_equation, pull_back, sensitivity_algorithm,
    solve_equation, step_control
using Test

@testset "PyODEBridge" begin
    include("interop/callbacks.jl")
    include("compiled/elementary.jl")
    include("compiled/kernels.jl")
    include("compiled/aot_cache.jl")
    include("compiled/julia_dynamics.jl")
    include("equations/solver_form.jl")
    include("algorithms/expressions.jl")
    include("algorithms/step_control.jl")
    include("gradients/quadrature.jl")
    include("gradients/adjoints.jl")
    include("quality.jl")
end

# The packages of this project, which no environment names.
append!(LOAD_PATH, [joinpath(dirname(@__DIR__), "translations"), dirname(@__DIR__)])

using PyODEBridge
using PyODETranslations: PyODETranslations
using PyODEBridge: algorithm, catalogue, exported_names, ordinary_equation, pull_back, sensitivity_algorithm,
    solve_equation, step_control
using ChainRulesCore: ChainRulesCore
using SciMLSensitivity: SciMLSensitivity
using Zygote: Zygote # with the two others, it loads the extension
using Test

const Sensitivities = Base.get_extension(PyODEBridge, PyODEBridge.EXTENSION)

@testset "PyODEBridge" begin
    include("decay.jl")
    @testset "interop" begin
        include("interop/callbacks.jl")
    end
    @testset "compiled" begin
        include("compiled/kernels/elementary.jl")
        include("compiled/kernels/scalars.jl")
        include("compiled/kernels/products.jl")
        include("compiled/kernels/factorisations.jl")
        include("compiled/julia_dynamics.jl")
        include("compiled/functions.jl")
        include("compiled/aot_cache.jl")
    end
    @testset "algorithms" begin
        include("algorithms/expressions.jl")
        include("algorithms/algorithm.jl")
        include("algorithms/catalogue.jl")
        include("algorithms/norms.jl")
        include("algorithms/step_control.jl")
    end
    @testset "schemes" begin
        include("schemes/fixed_steps.jl")
    end
    @testset "equations" begin
        include("equations/ordinary.jl")
        include("equations/parts.jl")
        include("equations/solver_form.jl")
    end
    @testset "gradients" begin
        include("gradients/sensealgs.jl")
        include("gradients/choice.jl")
        include("gradients/quadrature.jl")
        include("gradients/mismatch.jl")
        include("gradients/tableau.jl")
        include("gradients/other_equations.jl")
        include("gradients/adjoints.jl")
    end
    include("private.jl")
    include("quality.jl")
end

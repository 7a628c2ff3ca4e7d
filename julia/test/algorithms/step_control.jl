# What a solver is told of how to step.

@testset "what a package says that it ignores is refused" begin
    ignoring = PyODEBridge.SciMLBase.check_keywords
    @test PyODEBridge.quietly(() -> (@warn("something else"); 3)) == 3
    @test PyODEBridge.quietly(() -> ignoring("IDA", pairs((; calck = true)), Set([:calck])))
    err = try
        PyODEBridge.quietly(() -> ignoring("IDA", pairs((; internalnorm = abs, dt = 0.1)), Set([:internalnorm])))
    catch e
        e
    end
    @test err isa PyODEBridge.UnsupportedError && occursin("norm", err.message)
end

@testset "fixed steps refuse what adapts them" begin
    t, euler = [0.0, 1.0], algorithm("RK4()")
    fixed(; options...) = PyODEBridge.solve_options(step_control(; adaptive = false, dt = 0.1, options...), euler, t)
    @test fixed()[:dt] == 0.1
    for option in ((; dtmin = 0.1), (; dtmax = 0.1), (; norm = "max"), (; controller = "IController()"))
        @test_throws PyODEBridge.UnsupportedError fixed(; option...)
    end
end

@testset "factors of controllers" begin
    told(alg; options...) = PyODEBridge.solve_options(step_control(; options...), algorithm(alg), [0.0, 1.0])[:controller]
    @test told("Tsit5"; gamma = 0.5).basic.gamma == 0.5
    @test told("Tsit5"; qmax = 3.0).basic.qmax_first_step == 3
    @test told("Tsit5"; qmin = 0.4).beta1 == told("Tsit5"; gamma = 0.5).beta1
    @test told("AutoTsit5(Rodas5P())"; qmin = 0.4).controllers[2].basic.qmin == 0.4
    @test told("Tsit5"; controller = "IController()", qmax = 3.0).basic.qmax == 3
    @test_throws PyODEBridge.UnsupportedError told("RDPK3Sp35"; gamma = 0.5)
    @test told("FBDF"; gamma = 2.0).basic.gamma == 2
    @test_throws PyODEBridge.UnsupportedError told("FBDF"; qmax = 3.0)
end

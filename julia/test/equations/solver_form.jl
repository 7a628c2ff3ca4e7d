# Which form of an equation a solver gets.

@testset "the form of an equation" begin
    ordinary = PyODEBridge.Ordinary(callbacks())
    half = PyODEBridge.Half(PyODEBridge.two_vectors(c_functions()[2]))
    second_order = PyODEBridge.Partitioned(half, nothing, ordinary)
    hamiltonian = PyODEBridge.Partitioned(half, half, ordinary)
    split = PyODEBridge.Split(ordinary.f, PyODEBridge.RightHandSide(callbacks().c_rhs), ordinary)
    # The methods of a package that was loaded just now.
    solver_form(equation, name) = Base.invokelatest(PyODEBridge.solver_form, equation, algorithm(name))

    @testset "a solver that knows no parts gets the ordinary equation" begin
        for equation in (ordinary, second_order, hamiltonian, split)
            @test solver_form(equation, "Tsit5") === ordinary
        end
        @test solver_form(second_order, "KahanLi8") === second_order
        @test solver_form(hamiltonian, "KahanLi8") === hamiltonian
        @test solver_form(second_order, "DPRKN6") === second_order
        @test solver_form(split, "KenCarp4") === split
        @test solver_form(split, "Rodas5P") === ordinary
    end

    @testset "a solver that needs parts says so" begin
        for (equation, name, words) in (
                (ordinary, "KahanLi8", "SecondOrder"), (hamiltonian, "DPRKN6", "SecondOrder"), (ordinary, "CNAB2", "Split"),
                (split, "ETDRK4", "matrix"), (ordinary, "MagnusGL6", "Quasilinear"),
            )
            @test_throws PyODEBridge.UnsupportedError solver_form(equation, name)
            @test_throws words solver_form(equation, name)
        end
        @test solver_form(split, "ETDRK4(krylov = true)") === ordinary
        @test_throws PyODEBridge.UnsupportedError PyODEBridge.backward_algorithm(
            second_order, algorithm("KahanLi8")
        )
    end
end

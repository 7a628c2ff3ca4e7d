# What solvers there are.

@testset "the catalogue" begin
    names = first.(catalogue())
    @test issubset(["Tsit5", "Vern7", "Rodas5P", "KenCarp4", "QNDF", "FBDF", "RadauIIA5"], names)
    @test allunique(names)
end

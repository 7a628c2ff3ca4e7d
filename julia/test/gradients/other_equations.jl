# What stands for other equations in their gradients.

@testset "pieces of a delay equation" begin
    t, lag = [0.0, 1.0, 2.5], 0.7
    pieces = PyODEBridge.pieces_of(t, [lag], [1.7])
    @test pieces[1].to == 2.5
    @test pieces[end].from == 0.0
    @test all(pieces[i].from == pieces[i + 1].to for i in 1:(length(pieces) - 1))
    @test all(piece.to - piece.from <= lag * (1 + sqrt(eps())) for piece in pieces)
    ends = [piece.from for piece in pieces]
    for jump in (1.0, 1.7, lag, 2lag, 1.0 - lag, 1.7 - lag, 2.5 - lag)
        @test minimum(abs, ends .- jump) < 1.0e-12
    end
end

@testset "mass matrices" begin
    @test PyODEBridge.is_semi_explicit([1.0 0 0; 0 0 0; 0.5 0 2])
    @test PyODEBridge.is_semi_explicit([1.0 1; 0 2])
    @test !PyODEBridge.is_semi_explicit([1.0 1; 0 0])
    @test !PyODEBridge.is_semi_explicit([0.0 0; 1 0])
    @test !PyODEBridge.is_semi_explicit([1.0 1; 2 2])
end

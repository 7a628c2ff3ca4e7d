# Factorisations of matrices that lie row by row.

using LinearAlgebra: Diagonal, I, Symmetric, UnitLowerTriangular, UpperTriangular, eigvals, svdvals
using PyODETranslations: Kernels

"""The matrices row by row in memory, one after another."""
row_by_row(matrices...) = reduce(vcat, (vec(permutedims(matrix)) for matrix in matrices))

"""The matrix with a number among those in memory."""
at(memory, m, n, number = 1) = permutedims(reshape(memory[((number - 1) * m * n + 1):(number * m * n)], n, m))

function with_pointers(work, arrays...)
    GC.@preserve arrays work(map(pointer, arrays)...)
    return arrays
end

@testset "factorisations of $T" for T in (Float64, Float32)
    tolerance = 100 * eps(T)
    a, b = T[4 1 0; 1 3 1; 0 1 2], T[2 0 1; 0 5 1; 1 1 3]
    both = row_by_row(a, b)

    @testset "eigenvalues" begin
        w, v = zeros(T, 6), zeros(T, 18)
        with_pointers((w, v, a) -> Kernels.eigh!(w, v, a, 2, 3, 1, 1), w, v, both)
        @test w[1:3] ≈ eigvals(Symmetric(a)) rtol = tolerance
        @test w[4:6] ≈ eigvals(Symmetric(b)) rtol = tolerance
        vectors = at(v, 3, 3, 2)
        @test vectors * Diagonal(w[4:6]) * vectors' ≈ b rtol = tolerance
    end

    @testset "singular values" begin
        wide = T[1 2 3; 4 5 7]
        u, s, vh = zeros(T, 4), zeros(T, 2), zeros(T, 6)
        with_pointers((u, s, vh, a) -> Kernels.svd!(u, s, vh, a, 1, 2, 3, 1), u, s, vh, row_by_row(wide))
        @test s ≈ svdvals(wide) rtol = tolerance
        @test at(u, 2, 2) * Diagonal(s) * at(vh, 2, 3) ≈ wide rtol = tolerance
    end

    @testset "QR" begin
        tall = T[1 2; 3 4; 5 7]
        for (which, wide) in ((1, 2), (2, 3))
            q, r = zeros(T, 3 * wide), zeros(T, wide * 2)
            with_pointers((q, r, a) -> Kernels.qr!(q, r, a, 1, 3, 2, which), q, r, row_by_row(tall))
            @test at(q, 3, wide) * at(r, wide, 2) ≈ tall rtol = tolerance
            @test at(q, 3, wide)' * at(q, 3, wide) ≈ I rtol = tolerance
        end
    end

    @testset "exponentials" begin
        e = zeros(T, 18)
        with_pointers((e, a) -> Kernels.matrix_exp!(e, a, 2, 3), e, both)
        @test at(e, 3, 3, 2) ≈ exp(b) rtol = tolerance
    end

    @testset "linear systems" begin
        lu, pivots, info, x, p = zeros(T, 9), zeros(Int32, 3), zeros(Int32, 1), zeros(T, 6), zeros(T, 9)
        swapped, right = T[0 1 0; 1 3 1; 4 1 2], T[1 2; 3 4; 5 6]
        memory, sides = row_by_row(swapped), row_by_row(right)
        with_pointers((lu, pivots, info, a) -> Kernels.lu_factor!(lu, pivots, info, a, 1, 3, 3), lu, pivots, info, memory)
        @test iszero(info[1])
        for (adjoint, matrix) in ((0, swapped), (1, swapped'))
            with_pointers((x, lu, pivots, b) -> Kernels.lu_solve!(x, lu, pivots, b, 1, 3, 2, adjoint), x, lu, pivots, sides)
            @test matrix * at(x, 3, 2) ≈ right rtol = tolerance
        end
        with_pointers((p, pivots) -> Kernels.permutation!(p, pivots, 1, 3, 3), p, pivots)
        factors = at(lu, 3, 3)
        @test at(p, 3, 3) * UnitLowerTriangular(factors) * UpperTriangular(factors) ≈ swapped rtol = tolerance
    end

    @testset "what fails is NaN, and throws nothing" begin
        l, info, w, v = zeros(T, 9), zeros(Int32, 1), zeros(T, 3), zeros(T, 9)
        with_pointers((l, info, a) -> Kernels.cholesky!(l, info, a, 1, 3), l, info, row_by_row(-a))
        @test info[1] == 1
        with_pointers((w, v, a) -> Kernels.eigh!(w, v, a, 1, 3, 1, 1), w, v, row_by_row(a .* T(NaN)))
        @test all(isnan, w) && all(isnan, v)
    end
end

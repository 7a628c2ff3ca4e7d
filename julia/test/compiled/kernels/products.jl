# Products of matrices in memory, row by row.

using PyODEBridge: Kernels

"""
`a * b` of row-major data by `product!`, with operands laid out row by row, or transposed; or what is `added` to with it.
"""
function multiplied(::Type{T}, m, n, k; a_transposed, b_transposed, added) where {T}
    a, b, c = rand(T, m, k), rand(T, k, n), rand(T, n, m) # c is read as the transpose of what lies row by row
    before = permutedims(c)
    first, am, ak = a_transposed ? (vec(a), 1, m) : (vec(permutedims(a)), k, 1)
    second, bk, bn = b_transposed ? (vec(b), 1, k) : (vec(permutedims(b)), n, 1)
    GC.@preserve first second c Kernels.product!(
        pointer(c), pointer(first), pointer(second), m, n, k, am, ak, bk, bn, added
    )
    return permutedims(c), added ? before + a * b : a * b
end

@testset "products, $T, ($m, $k) by ($k, $n)" for T in (Float32, Float64),
        (m, n, k) in ((1, 50, 2), (4, 3, 17), (2, 2, 1), (40, 30, 50), (1, 200, 150), (200, 1, 150)),
        a_transposed in (false, true), b_transposed in (false, true), added in (false, true)

    found, true_ = multiplied(T, m, n, k; a_transposed, b_transposed, added)
    @test found ≈ true_
end

# Factorisations by LAPACK, matrix after matrix. In memory these lie row by row, to LAPACK column by column.

"""The matrix of a number, counted from 0, of those of shape `(m, n)` at `a`."""
column_by_column(a::Ptr{T}, m, n, number) where {T} =
    T[unsafe_load(a, number * m * n + i * n + j + 1) for i in 0:(m - 1), j in 0:(n - 1)]

"""Write it to those at `out`; `nothing` stands for one that does not exist, as NaN."""
function write!(out::Ptr{T}, matrix, m, n, number) where {T}
    for i in 0:(m - 1), j in 0:(n - 1)
        unsafe_store!(out, matrix === nothing ? T(NaN) : T(matrix[i + 1, j + 1]), number * m * n + i * n + j + 1)
    end
    return nothing
end

"""What LAPACK makes, or as many times `nothing` where it fails or meets what is no number: nothing may be thrown."""
function attempted(factorise, results)
    return try
        factorise()
    catch
        ntuple(_ -> nothing, results)
    end
end

"""Eigenvalues, and vectors if `vectors_too`, of symmetric matrices of which the half above or below the diagonal counts."""
function eigh!(w, v, a, count, n, below, vectors_too)
    for number in 0:(count - 1)
        matrix, half = column_by_column(a, n, n, number), isone(below) ? 'L' : 'U'
        values, vectors = attempted(2) do
            isone(vectors_too) ? LAPACK.syevd!('V', half, matrix) : (LAPACK.syevd!('N', half, matrix), nothing)
        end
        write!(w, values, n, 1, number)
        isone(vectors_too) && write!(v, vectors, n, n, number)
    end
    return nothing
end

"""Singular values, and vectors: none (0), as many as there are values (1), or all (2)."""
function svd!(u, s, vh, a, count, m, n, which)
    least = min(m, n)
    for number in 0:(count - 1)
        matrix = column_by_column(a, m, n, number)
        left, values, right = attempted(() -> LAPACK.gesdd!("NSA"[which + 1], matrix), 3)
        write!(s, values, least, 1, number)
        iszero(which) && continue
        write!(u, left, m, which == 2 ? m : least, number)
        write!(vh, right, which == 2 ? n : least, n, number)
    end
    return nothing
end

"""`a = q r`: `r` alone (0), with as many columns of `q` as rows of `r` (1), or with all (2)."""
function qr!(q, r, a, count, m, n, which)
    least = min(m, n)
    wide = which == 2 ? m : least
    for number in 0:(count - 1)
        factors, tau = attempted(() -> LAPACK.geqrf!(column_by_column(a, m, n, number)), 2)
        upper = factors === nothing ? nothing : triu!(vcat(factors, zeros(eltype(factors), max(wide - m, 0), n)))
        write!(r, upper, wide, n, number)
        iszero(which) && continue
        (orthogonal,) = attempted(() -> (first_columns(factors, tau, m, wide),), 1)
        write!(q, orthogonal, m, wide, number)
    end
    return nothing
end

"""So many columns of the product of reflections below the diagonal of `factors`."""
function first_columns(factors, tau, m, wide)
    columns = zeros(eltype(factors), m, wide)
    kept = min(wide, size(factors, 2))
    columns[:, 1:kept] = factors[:, 1:kept]
    return LAPACK.orgqr!(columns, tau)
end

function householder_product!(q, a, tau, count, m, n, k)
    for number in 0:(count - 1)
        factors, scales = column_by_column(a, m, n, number), vec(column_by_column(tau, k, 1, number))
        (columns,) = attempted(() -> (LAPACK.orgqr!(factors, scales),), 1)
        write!(q, columns, m, n, number)
    end
    return nothing
end

function matrix_exp!(e, a, count, n)
    for number in 0:(count - 1)
        (found,) = attempted(() -> (exp!(column_by_column(a, n, n, number)),), 1)
        write!(e, found, n, n, number)
    end
    return nothing
end

"""Both factors in one, the rows swapped, and where a pivot is zero, or 0."""
function lu_factor!(lu, pivots, info, a, count, m, n)
    least = min(m, n)
    for number in 0:(count - 1)
        factors, swapped, failed = attempted(3) do
            LAPACK.getrf!(column_by_column(a, m, n, number); check = false)
        end
        write!(lu, factors, m, n, number)
        for i in 1:least
            unsafe_store!(pivots, Int32(swapped === nothing ? i : swapped[i]), number * least + i)
        end
        unsafe_store!(info, Int32(something(failed, 0)), number + 1)
    end
    return nothing
end

"""`x` of `A x = b`, or of `Aᵀ x = b` if `adjoint`, by the factors of `A`; `b` has `k` columns."""
function lu_solve!(x, lu, pivots, b, count, n, k, adjoint)
    for number in 0:(count - 1)
        factors, right = column_by_column(lu, n, n, number), column_by_column(b, n, k, number)
        swapped = Int[unsafe_load(pivots, number * n + i) for i in 1:n]
        (solved,) = attempted(() -> (LAPACK.getrs!(isone(adjoint) ? 'T' : 'N', factors, swapped, right),), 1)
        write!(x, solved, n, k, number)
    end
    return nothing
end

"""`x` of `A x = b` where `A` is triangular, `upper` or lower, with a `unit` diagonal or its own."""
function triangular_solve!(x, a, b, count, n, k, upper, unit)
    for number in 0:(count - 1)
        matrix, right = column_by_column(a, n, n, number), column_by_column(b, n, k, number)
        BLAS.trsm!('L', isone(upper) ? 'U' : 'L', 'N', isone(unit) ? 'U' : 'N', one(eltype(right)), matrix, right)
        write!(x, right, n, k, number)
    end
    return nothing
end

"""The lower factor, of the half below the diagonal, and where a pivot is not positive, or 0."""
function cholesky!(l, info, a, count, n)
    for number in 0:(count - 1)
        factor, failed = attempted(() -> LAPACK.potrf!('L', column_by_column(a, n, n, number)), 2)
        write!(l, factor === nothing ? nothing : tril!(factor), n, n, number)
        unsafe_store!(info, Int32(something(failed, 0)), number + 1)
    end
    return nothing
end

"""The matrix that swaps rows back to where they were before `k` swaps: `a = p l u`."""
function permutation!(p::Ptr{T}, pivots, count, m, k) where {T}
    for number in 0:(count - 1)
        order = collect(1:m)
        for i in 1:k
            other = unsafe_load(pivots, number * k + i)
            order[i], order[other] = order[other], order[i]
        end
        matrix = zeros(T, m, m)
        foreach(i -> matrix[order[i], i] = one(T), 1:m)
        write!(p, matrix, m, m, number)
    end
    return nothing
end

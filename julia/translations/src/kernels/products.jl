# Products of matrices.

"""Multiplications from which on BLAS is faster than loops."""
const LARGE_PRODUCT = 20_000

"""
    product!(c, a, b, m, n, k, am, ak, bk, bn, added = false)

`c = a * b`, or `c += a * b` where it is to be added, of `(m, k)` by `(k, n)`, with the strides of `a` and `b`; `c` lies row
by row.
"""
@inline function product!(c::Ptr{T}, a::Ptr{T}, b::Ptr{T}, m, n, k, am, ak, bk, bn, added = false) where {T}
    regular = (am == 1 || ak == 1) && (bk == 1 || bn == 1)
    row_by_matrix = m == 1 && (bn == 1 || ak == bk == 1) # memory is read in order, which takes longest, once
    if n == 1 && m > 1 # a column lies as a row does
        product!(c, b, a, 1, m, k, bn, bk, ak, am, added)
    elseif regular && !row_by_matrix && m * n * k >= LARGE_PRODUCT
        gemm!(c, a, b, m, n, k, am, ak, bk, bn, added)
    elseif ak == 1 && bk == 1 && k >= 8
        by_dots!(c, a, b, m, n, k, am, bn, added)
    else
        by_rows!(c, a, b, m, n, k, am, ak, bk, bn, added)
    end
    return nothing
end

@inline function by_dots!(c::Ptr{T}, a, b, m, n, k, am, bn, added) where {T}
    for i in 0:(m - 1), j in 0:(n - 1)
        total = zero(T)
        @simd for l in 1:k
            total = muladd(unsafe_load(a, i * am + l), unsafe_load(b, j * bn + l), total)
        end
        added && (total += unsafe_load(c, i * n + j + 1))
        unsafe_store!(c, total, i * n + j + 1)
    end
    return nothing
end

@inline function by_rows!(c::Ptr{T}, a, b, m, n, k, am, ak, bk, bn, added) where {T}
    for i in 0:(m - 1)
        added || zero!(c + i * n * sizeof(T), n)
        for l in 0:(k - 1)
            factor = unsafe_load(a, i * am + l * ak + 1)
            @simd ivdep for j in 0:(n - 1)
                total = unsafe_load(c, i * n + j + 1)
                unsafe_store!(c, muladd(factor, unsafe_load(b, l * bk + j * bn + 1), total), i * n + j + 1)
            end
        end
    end
    return nothing
end

"""
The addresses of the functions `dgemm` and `sgemm` that multiply large matrices, with integers of 64 bits: those of
Julia's BLAS, unless `use_products` has named others.
"""
const DGEMM, SGEMM = Ref(C_NULL), Ref(C_NULL)

"""How many threads such a function of others may use in this one, told by their C function; null for nobody to tell."""
const SET_THREADS = Ref(C_NULL)

function __init__()
    DGEMM[] = cglobal((BLAS.@blasfunc(dgemm_), BLAS.libblastrampoline))
    SGEMM[] = cglobal((BLAS.@blasfunc(sgemm_), BLAS.libblastrampoline))
    return nothing
end

"""Multiply large matrices by these functions from now on, if they do that."""
function use_products(dgemm, sgemm, set_threads)
    BLAS.BlasInt === Int64 || return false
    before = DGEMM[], SGEMM[]
    DGEMM[], SGEMM[] = dgemm, sgemm
    if multiplies(Float64) && multiplies(Float32)
        SET_THREADS[] = set_threads
        return true
    end
    DGEMM[], SGEMM[] = before
    return false
end

"""Whether a product that is known comes out right."""
function multiplies(::Type{T}) where {T}
    a, b, c = T[1 3; 2 4], T[5 7; 6 8], zeros(T, 2, 2) # (1 2; 3 4) and (5 6; 7 8), row by row
    GC.@preserve a b c gemm!(pointer(c), pointer(a), pointer(b), 2, 2, 2, 2, 1, 2, 1)
    return c == T[19 43; 22 50]
end

"""Let large products use so many threads where this one asks for them; returns how many these were. 0 is for all."""
limit_threads(count) = SET_THREADS[] == C_NULL ? Cint(0) : ccall(SET_THREADS[], Cint, (Cint,), count)

# What lies row by row is, to BLAS, the transpose column by column.
for (T, gemm) in ((Float64, :DGEMM), (Float32, :SGEMM))
    @eval function gemm!(c::Ptr{$T}, a::Ptr{$T}, b::Ptr{$T}, m, n, k, am, ak, bk, bn, added = false)
        first, b_apart = bn == 1 ? (UInt8('N'), bk) : (UInt8('T'), bn)
        second, a_apart = ak == 1 ? (UInt8('N'), am) : (UInt8('T'), ak)
        ccall(
            $gemm[], Cvoid,
            (
                Ref{UInt8}, Ref{UInt8}, Ref{BLAS.BlasInt}, Ref{BLAS.BlasInt}, Ref{BLAS.BlasInt}, Ref{$T}, Ptr{$T},
                Ref{BLAS.BlasInt}, Ptr{$T}, Ref{BLAS.BlasInt}, Ref{$T}, Ptr{$T}, Ref{BLAS.BlasInt}, Clong, Clong,
            ),
            first, second, n, m, k, one($T), b, max(b_apart, 1), a, max(a_apart, 1), $T(added), c, n, 1, 1
        )
        return nothing
    end
end

"""
What translated dynamics call. Functions of a number follow torch where Base throws: outside of their domain they are
NaN. Memory comes as pointers, row by row.
"""
module Kernels

using LinearAlgebra: BLAS, LAPACK, exp!, tril!, triu!
using ..PyODETranslations: gc_safe

include("elementary.jl")
using .Elementary: Floating, exp, exp2, expm1, log, log2, log10, log1p, sin, cos, quick_sin, quick_cos, is_reducible,
    tanh, sigmoid, softplus, erf, erfc, erfcx, ndtr, log_ndtr, sqrt

export begin_call, begin_product!, known_product!, product!, zero!, whole_power, truncated, exp, exp2, expm1, log, log2,
    log10, log1p,
    sin, cos, quick_sin, quick_cos, is_reducible, tan, asin, acos, atan, sinh, cosh, tanh, asinh, acosh, atanh, sqrt,
    erf, erfc, erfcx, ndtr, log_ndtr, pow, sigmoid, softplus, relu, sign, maximum, minimum, fmod, remainder,
    floor_divide, truncate_divide, logaddexp, clamp01, round, eigh!, svd!, qr!, householder_product!, matrix_exp!,
    lu_factor!, lu_solve!, triangular_solve!, cholesky!, permutation!

include("scalars.jl")
include("calls.jl")
include("products.jl")
include("factorisations.jl")

end

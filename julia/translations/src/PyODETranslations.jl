"""
    PyODETranslations

Dynamics that the Python half has translated to Julia: what they call, how they become C functions, and the code that is
kept for later sessions. A package of its own, without any of SciML's, so that what was compiled with it lasts when a
solver is updated.
"""
module PyODETranslations

using LinearAlgebra: LinearAlgebra
using Scratch: Scratch, get_scratch!

include("gc_safe.jl")
include("kernels/kernels.jl")
include("generated_code.jl")
include("definition.jl")
include("stored_code.jl")

precompile(store, (GeneratedCode,))

end

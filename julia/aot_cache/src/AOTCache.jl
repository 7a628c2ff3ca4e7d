"""
    AOTCache

The generated code that PyODEBridge has stored, compiled: a package for the sake of its image; see PyODEBridge's
`aot_cache.jl`.
"""
module AOTCache

using PyODEBridge: PyODEBridge

const FUNCTIONS = PyODEBridge.compile_stored!(@__MODULE__)

end

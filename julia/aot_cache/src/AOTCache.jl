"""
    AOTCache

The translations whose texts PyODEBridge keeps, compiled: a package for the sake of its image; see PyODEBridge's `aot_cache.jl`.
"""
module AOTCache

using PyODEBridge: PyODEBridge

const FUNCTIONS = PyODEBridge.compile_texts!(@__MODULE__)

end

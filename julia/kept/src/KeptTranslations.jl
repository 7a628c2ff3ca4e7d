"""
    KeptTranslations

The translations whose texts PyODEBridge keeps, compiled: a package for the sake of its image; see PyODEBridge's `kept.jl`.
"""
module KeptTranslations

using PyODEBridge: PyODEBridge

const FUNCTIONS = PyODEBridge.compile_texts!(@__MODULE__)

end

"""
    AOTCache

The generated code that is kept, compiled: a package for the sake of its image; see PyODEBridge's `aot_cache.jl`.
"""
module AOTCache

using PyODETranslations: compile_stored!

const FUNCTIONS = compile_stored!(@__MODULE__)

end

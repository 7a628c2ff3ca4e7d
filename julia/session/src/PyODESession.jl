"""
    PyODESession

What first solves from Python were seen to compile, PythonCall's methods among it, which no package compiles ahead: a
package for the sake of its image. `python -m pyode_bridge install` has it compiled, and sessions load it where it is.
"""
module PyODESession

using PrecompileTools: @compile_workload
using PyODEBridge: PyODEBridge
using PythonCall: PythonCall

include("seen.jl")

@compile_workload begin
    compile_seen(@__MODULE__, ENV["PYODE_BRIDGE_SEEN"])
end

end

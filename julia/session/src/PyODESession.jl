"""
    PyODESession

What first solves from Python were seen to compile, PythonCall's methods among it, which no package compiles ahead: a
package for the sake of its image. `python -m pyode_bridge install` has it compiled, and sessions load it where it is.
"""
module PyODESession

using PrecompileTools: @compile_workload
using PyODEBridge: PyODEBridge
using PythonCall: PythonCall

"""Compile what the statements in a file name; some name what is no more, such as types that the session made."""
function compile_seen(file)
    for (id, package) in Base.loaded_modules
        name = Symbol(id.name)
        isdefined(PyODESession, name) || Core.eval(PyODESession, :(const $name = $package))
    end
    for statement in eachline(file)
        try
            Core.eval(PyODESession, Meta.parse(statement))
        catch
        end
    end
    return nothing
end

@compile_workload begin
    compile_seen(ENV["PYODE_BRIDGE_SEEN"])
end

end

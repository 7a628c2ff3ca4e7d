# Runs while Julia makes an image: loads PythonCall, PyODEBridge, which no environment names, and packages by name, and
# compiles what first solves were seen to compile.

push!(LOAD_PATH, ENV["PYODE_BRIDGE_PACKAGE"])
import PyODEBridge, PythonCall

for name in split(ENV["PYODE_BRIDGE_LOADED"], ','; keepempty = false)
    Base.require(PyODEBridge.identify(String(name)))
end

let place = Module(:Seen)
    for (id, package) in Base.loaded_modules
        Core.eval(place, :(const $(Symbol(id.name)) = $package))
    end
    for statement in eachline(ENV["PYODE_BRIDGE_SEEN"])
        # Some name what is no more: types that the session made.
        try
            Core.eval(place, Meta.parse(statement))
        catch
        end
    end
end

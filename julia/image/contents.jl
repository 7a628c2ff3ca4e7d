# Runs while Julia makes an image: loads PyODEBridge, which no environment names, and packages by name, and
# compiles what first solves were seen to compile.

append!(LOAD_PATH, split(ENV["PYODE_BRIDGE_PATH"], Sys.iswindows() ? ';' : ':'))
import PyODEBridge

for name in split(ENV["PYODE_BRIDGE_LOADED"], ','; keepempty = false)
    Base.require(PyODEBridge.identify(String(name)))
end

# PythonCall looks for a Python as soon as Julia starts, where juliacall has not said yet which one it is in; it is loaded
# after the start, from what these bring.
let python = Base.identify_package("PythonCall")
    project = joinpath(dirname(dirname(Base.locate_package(python))), "Project.toml")
    for name in keys(PyODEBridge.TOML.parsefile(project)["deps"])
        Base.require(Base.identify_package(python, name))
    end
end

let place = Module(:Seen)
    for (id, package) in Base.loaded_modules
        name = Symbol(id.name)
        isdefined(place, name) || Core.eval(place, :(const $name = $package)) # extensions may share a name
    end
    for statement in eachline(ENV["PYODE_BRIDGE_SEEN"])
        # Some name what is no more: types that the session made.
        try
            Core.eval(place, Meta.parse(statement))
        catch
        end
    end
end

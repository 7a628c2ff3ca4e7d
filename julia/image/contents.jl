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

include(joinpath(@__DIR__, "..", "session", "src", "seen.jl"))
compile_seen(Module(:Seen), ENV["PYODE_BRIDGE_SEEN"])

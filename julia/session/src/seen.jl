# What sessions were seen to compile, as Julia's `--trace-compile` writes it.

"""Compile in `place` what the statements in a file name; some name what is no more, such as types that the session made."""
function compile_seen(place::Module, file)
    for (id, package) in Base.loaded_modules
        name = Symbol(id.name)
        isdefined(place, name) || Core.eval(place, :(const $name = $package)) # extensions may share a name
    end
    for statement in eachline(file)
        try
            Core.eval(place, Meta.parse(statement))
        catch
        end
    end
    return nothing
end

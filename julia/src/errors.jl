# Errors that the Python side translates to its own; the message is the sentence that a user reads.

"""A name that no loaded or loadable package exports; `known` are the names that would do."""
struct UnknownNameError <: Exception
    name::String
    known::Vector{String}
end

"""A name of a package that is not installed."""
struct MissingPackageError <: Exception
    name::String
    package::String
end

"""An expression or a combination that the bridge does not serve."""
struct UnsupportedError <: Exception
    message::String
end

"""Dynamics in Julia that are not what the bridge expects."""
struct WrongDynamicsError <: Exception
    message::String
end

"""A callback returned non-zero: the Python side holds the exception that the user's dynamics raised."""
struct CallbackError <: Exception end

"""A backward solve that ended before its end."""
struct EndedEarly <: Exception
    retcode::String
    t::Float64
end

"""The names that would do, separated by blanks."""
known_names(err::UnknownNameError) = join(err.known, ' ')

Base.showerror(io::IO, err::UnknownNameError) = print(io, "unknown name `", err.name, "`")
Base.showerror(io::IO, err::UnsupportedError) = print(io, err.message)
Base.showerror(io::IO, err::WrongDynamicsError) = print(io, "JuliaDynamics: ", err.message)
Base.showerror(io::IO, ::CallbackError) = print(io, "a callback into Python failed")

function Base.showerror(io::IO, err::MissingPackageError)
    return print(
        io, err.name, " is a solver of ", err.package, ".jl, which this Julia environment lacks. Run ",
        "`python -m pyode_bridge install ", err.package, "`."
    )
end

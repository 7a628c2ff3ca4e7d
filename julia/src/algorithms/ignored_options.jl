# Options that a solver ignores: packages beside OrdinaryDiffEq's only warn, and the bridge refuses them.

"""
Hears which options a solver says that it ignores: packages beside OrdinaryDiffEq's only warn. All else that is logged is
dropped, since a failed solve is reported by its return code.
"""
struct Listening <: AbstractLogger
    ignored::Vector{String}
end

Logging.min_enabled_level(::Listening) = Logging.Warn
Logging.shouldlog(::Listening, arguments...) = true

function Logging.handle_message(logger::Listening, level, message, arguments...; keywords...)
    found = match(r"^The (\w+) argument is ignored by ", string(message))
    name = found === nothing ? nothing : get(OPTION_NAMES, Symbol(found[1]), nothing)
    name === nothing || push!(logger.ignored, name)
    return nothing
end

"""Call `solve` without a word on the terminal, and refuse what it ignored."""
function quietly(solve)
    logger = Listening(String[])
    solved = with_logger(solve, logger)
    isempty(logger.ignored) && return solved
    throw(UnsupportedError("This solver takes no $(join(unique(logger.ignored), ", ")) in its options; leave it out."))
end

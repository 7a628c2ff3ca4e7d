# Expressions such as `KenCarp4(linsolve = KrylovJL_GMRES())`: names, calls and literals, in Julia's own syntax. They
# are parsed by Julia and interpreted here; nothing is evaluated.

const CONSTANTS = Dict{Symbol, Any}(:nothing => nothing, :Inf => Inf, :NaN => NaN, :Val => Val)

const LONGEST_TEXT = 2_000
const DEEPEST_NESTING = 20

const WHAT_IS_ALLOWED = "write a name, or a call with literal, named or called arguments, such as " *
    "`Tsit5()`, `AutoTsit5(Rosenbrock23())` or `KenCarp4(linsolve=KrylovJL_GMRES())`"

"""
    Vocabulary(packages, construct; constants = Dict())

What an expression may say: the names that `packages` export, and `constants`. `construct(callable, args, kwargs)`
makes each call.
"""
struct Vocabulary{F}
    packages::Vector{String}
    construct::F
    constants::Dict{Symbol, Any}
end

function Vocabulary(packages, construct; constants = Dict{Symbol, Any}())
    return Vocabulary(collect(String, packages), construct, merge(CONSTANTS, constants))
end

"""
    interpret(text, vocabulary)

The value of the expression `text`; a name that stands for a type or a function is called without arguments.
"""
function interpret(text::AbstractString, vocabulary::Vocabulary)
    length(text) > LONGEST_TEXT && refuse(first(text, 40) * "...", "it has $(length(text)) characters")
    expression = Meta.parse(text; raise = false)
    value = value_of(expression, text, vocabulary, 0)
    return value isa Union{Type, Function} ? vocabulary.construct(value, (), (;)) : value
end

function refuse(text, reason = "")
    given = isempty(reason) ? "" : " ($reason)"
    throw(UnsupportedError("`$text` is not a solver expression$given: $WHAT_IS_ALLOWED."))
end

value_of(literal::Union{Number, String, Bool}, text, vocabulary, depth) = literal
value_of(other, text, vocabulary, depth) = refuse(text)

function value_of(quoted::QuoteNode, text, vocabulary, depth)
    return quoted.value isa Symbol ? quoted.value : refuse(text)
end

function value_of(name::Symbol, text, vocabulary, depth)
    haskey(vocabulary.constants, name) && return vocabulary.constants[name]
    value = find_exported(name, vocabulary.packages)
    callable = value isa Type || (value isa Function && isuppercase(first(String(name))))
    callable || throw(unknown_name(String(name), vocabulary))
    return value
end

function value_of(expression::Expr, text, vocabulary, depth)
    depth > DEEPEST_NESTING && refuse(text, "it is nested more than $DEEPEST_NESTING deep")
    recur(argument) = value_of(argument, text, vocabulary, depth + 1)
    expression.head in (:vect, :tuple) && return map(recur, Tuple(expression.args))
    is_minus(expression) && return -recur(expression.args[2])
    expression.head === :call || refuse(text)
    callable = recur(expression.args[1])
    positional, named = split_arguments(expression.args[2:end], text)
    args = map(recur, Tuple(positional))
    kwargs = NamedTuple(key => recur(value) for (key, value) in named)
    return vocabulary.construct(callable, args, kwargs)
end

is_minus(expression) = expression.head === :call && length(expression.args) == 2 && expression.args[1] === :- &&
    expression.args[2] isa Number

function split_arguments(arguments, text)
    positional, named = Any[], Pair{Symbol, Any}[]
    for argument in arguments
        if argument isa Expr && argument.head === :kw
            argument.args[1] isa Symbol || refuse(text)
            push!(named, argument.args[1] => argument.args[2])
        elseif argument isa Expr && argument.head === :parameters
            append!(named, split_arguments(argument.args, text)[2])
        else
            push!(positional, argument)
        end
    end
    return positional, named
end

"""The error for a name that the vocabulary lacks: its package may only have to be installed."""
function unknown_name(name::String, vocabulary::Vocabulary)
    for (package, solvers) in OPTIONAL_SOLVERS
        name in solvers && Base.find_package(package) === nothing && return MissingPackageError(name, package)
    end
    known = [String(own) for (own, value) in vocabulary.constants if value isa Type && !haskey(CONSTANTS, own)]
    foreach(package -> append!(known, exported_names(package)), vocabulary.packages)
    return UnknownNameError(name, sort!(unique!(known)))
end

# Expressions such as `KenCarp4(linsolve = KrylovJL_GMRES())`: names, calls and literals, in Julia's own syntax. They
# are parsed by Julia and interpreted here; nothing is evaluated.

const CONSTANTS = Dict{Symbol, Any}(:nothing => nothing, :Inf => Inf, :NaN => NaN, :Val => Val)

const WHAT_IS_ALLOWED = "write a name, or a call with literal, named or called arguments, such as " *
    "`Tsit5()`, `AutoTsit5(Rosenbrock23())` or `KenCarp4(linsolve=KrylovJL_GMRES())`"

"""
    interpret(text, packages; construct)

The value of the expression `text`, whose names are looked up among the exports of `packages`.
`construct(callable, args, kwargs)` makes each call.
"""
function interpret(text::AbstractString, packages; construct)
    expression = Meta.parse(text; raise = false)
    value = value_of(expression, text, packages, construct)
    return value isa Union{Type, Function} ? construct(value, (), (;)) : value
end

value_of(literal::Union{Number, String, Bool}, text, packages, construct) = literal
value_of(quoted::QuoteNode, text, packages, construct) = quoted.value

function value_of(name::Symbol, text, packages, construct)
    haskey(CONSTANTS, name) && return CONSTANTS[name]
    value = find_exported(name, packages)
    callable = value isa Type || (value isa Function && isuppercase(first(String(name))))
    callable || throw(UnknownNameError(String(name), names_exported_by(packages)))
    return value
end

function value_of(expression::Expr, text, packages, construct)
    recur(argument) = value_of(argument, text, packages, construct)
    expression.head in (:vect, :tuple) && return map(recur, Tuple(expression.args))
    expression.head === :call || throw(UnsupportedError("`$text` is not a solver expression: $WHAT_IS_ALLOWED."))
    callable = recur(expression.args[1])
    positional, named = split_arguments(expression.args[2:end])
    args = map(recur, Tuple(positional))
    kwargs = NamedTuple(key => recur(value) for (key, value) in named)
    return construct(callable, args, kwargs)
end

function value_of(other, text, packages, construct)
    throw(UnsupportedError("`$text` is not a solver expression: $WHAT_IS_ALLOWED."))
end

function split_arguments(arguments)
    positional, named = Any[], Pair{Symbol, Any}[]
    for argument in arguments
        if argument isa Expr && argument.head === :kw
            push!(named, argument.args[1] => argument.args[2])
        elseif argument isa Expr && argument.head === :parameters
            append!(named, split_arguments(argument.args)[2])
        else
            push!(positional, argument)
        end
    end
    return positional, named
end

names_exported_by(packages) = sort!(unique!(reduce(vcat, map(exported_names, packages); init = String[])))

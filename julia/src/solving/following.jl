# Solving from event to event without Python: what says that one happens, and what it does, are C functions.

"""
Events of which `conditions(out, u, p, t)` writes a number each: one happens where its number crosses zero, upwards (1),
downwards (-1) or either way (0) as `directions` say. `effects` write the state after it, or are `nothing`; a solve ends
at those that are `terminal`, and at one more than `most`.
"""
struct Events
    conditions::RightHandSide
    effects::Vector{Union{Nothing, RightHandSide}}
    directions::Vector{Int}
    terminal::Vector{Bool}
    most::Int
    interp_points::Int
end

"""An ordinary equation with events."""
struct Hybrid{E <: Ordinary} <: Equation
    ordinary::E
    events::Events
end

problem(equation::Hybrid, u0, p, tspan) = problem(equation.ordinary, u0, p, tspan)

linear_solver(equation::Hybrid, alg) = linear_solver(equation.ordinary, alg)

"""Conditions and effects, each an address with its environment, of which an effect of 0 leaves the state; see `Events`."""
function hybrid_equation(ordinary, conditions, effects, directions, terminal, most, interp_points)
    made = Union{Nothing, RightHandSide}[
        iszero(first(effect)) ? nothing : RightHandSide(one_vector(effect...)) for effect in effects
    ]
    return Hybrid(
        ordinary,
        Events(
            RightHandSide(one_vector(conditions...)), made, Int[direction for direction in directions],
            Bool[ends for ends in terminal], most, interp_points
        )
    )
end

"""
    Watch(events, u)

The signs of conditions, followed from step to step, as Python's `_Watch` does, whose rules these are: a condition has
crossed where its sign is no longer what it was; one that is zero at the start has the sign that it is about to take.
"""
mutable struct Watch{T}
    const events::Events
    const signs::Vector{Int}
    const leaving::Vector{Int} # conditions that have the sign they are about to take, until the time `left`
    const values::Vector{T}
    const soon::Vector{T}
    const u::Vector{T} # the state at which they were evaluated last
    const before::Vector{T} # that at the last time, `passed`, at which nothing had happened
    const at::Vector{T} # that at the first one, `t`, at which the condition `crossed` had
    left::Float64
    passed::Float64
    t::Float64
    crossed::Int
end

function Watch(events::Events, u::Vector{T}) where {T}
    n = length(events.directions)
    signs, values, soon = zeros(Int, n), zeros(T, n), zeros(T, n)
    return Watch{T}(events, signs, Int[], values, soon, similar(u), similar(u), similar(u), 0.0, 0.0, 0.0, 0)
end

"""Conditions that are no numbers, at a time."""
struct WrongConditions <: Exception
    t::Float64
end

Base.showerror(io::IO, err::WrongConditions) = print(io, "the conditions of events are no numbers at t = ", err.t)

function evaluate!(watch::Watch, values, u, t)
    watch.events.conditions(values, u, nothing, t)
    all(isfinite, values) || throw(WrongConditions(t))
    return values
end

"""Begin at a state: `last` is the event that happened there, or 0; `f` are the dynamics."""
function begin_at!(watch::Watch{T}, f, u, p, t, last) where {T}
    (; values, soon, leaving) = watch
    evaluate!(watch, values, u, t)
    margin = sqrt(eps(T)) * max(1.0, abs(t)) # within it, rounding may give a condition that leaves zero any sign
    watch.left = t + margin
    empty!(leaving)
    on_zero = findall(k -> iszero(values[k]) || k == last, eachindex(values))
    if !isempty(on_zero)
        f(watch.u, u, p, t)
        watch.u .= u .+ T(margin) .* watch.u
        evaluate!(watch, soon, watch.u, watch.left)
        for k in on_zero
            abs(values[k]) <= abs(soon[k] - values[k]) || continue
            values[k] = soon[k]
            push!(leaving, k)
        end
    end
    watch.signs .= sign_of.(values)
    copyto!(watch.before, u)
    watch.passed = t
    return nothing
end

sign_of(value) = Int(sign(value))

"""Whether something has crossed by a time within the last step."""
function happened_at(watch::Watch, integrator, t)
    (; u, values, signs, events) = watch
    state_within!(u, integrator, t)
    evaluate!(watch, values, u, t)
    if t <= watch.left
        foreach(k -> values[k] = signs[k], watch.leaving)
    end
    for k in eachindex(signs)
        before, now = signs[k], sign_of(values[k])
        if !iszero(before) && now != before && events.directions[k] != before
            copyto!(watch.at, u)
            watch.crossed, watch.t = k, t
            return true
        end
    end
    signs .= sign_of.(values)
    copyto!(watch.before, u)
    watch.passed = t
    return false
end

"""Whether time alone makes the condition cross, whatever the state."""
function crosses_by_time(watch::Watch)
    (; crossed, signs, soon) = watch
    crosses(u, t) = sign_of(evaluate!(watch, soon, u, t)[crossed]) != signs[crossed]
    return crosses(watch.before, watch.t) && !crosses(watch.at, watch.passed)
end

"""
What has happened on the way: for each event its time, its number, whether time alone made it happen, and the states
before it, at it and after it, one after another. The values at `times` are written to the columns of `ys` as they are
passed; `row` is the next.
"""
mutable struct Followed{T}
    const watch::Watch{T}
    const times::Vector{Float64}
    const ys::Matrix{T}
    const event_times::Vector{Float64}
    const indices::Vector{Int}
    const by_time::Vector{Bool}
    const states::Vector{T}
    row::Int
    has_too_many::Bool
end

"""Whether an event lies within the last step; the condition of a callback."""
function (followed::Followed)(u, t, integrator)
    all(isfinite, u) || return false # which the solver is about to find
    (; watch, times) = followed
    SciMLBase.addsteps!(integrator)
    found = happened_within(integrator.tprev, t, watch.events.interp_points) do at
        happened_at(watch, integrator, at)
    end
    reached = found ? watch.t : t
    while followed.row <= length(times) && times[followed.row] <= reached
        at = times[followed.row]
        found && at == reached ? copyto!(watch.u, watch.at) : state_within!(watch.u, integrator, at)
        copyto!(view(followed.ys, :, followed.row), watch.u)
        followed.row += 1
    end
    return found
end

"""What the event does to the integrator that has passed it."""
function happen!(followed::Followed, integrator)
    (; watch, event_times, indices, states) = followed
    (; events, crossed, t) = watch
    if length(indices) == events.most
        followed.has_too_many = true
        return SciMLBase.terminate!(integrator)
    end
    push!(event_times, t)
    push!(indices, crossed)
    push!(followed.by_time, crosses_by_time(watch))
    after, effect = copy(watch.at), events.effects[crossed]
    effect === nothing || events.terminal[crossed] || effect(after, watch.at, nothing, t)
    append!(states, watch.before, watch.at, after)
    SciMLBase.change_t_via_interpolation!(integrator, t)
    copyto!(integrator.u, after)
    events.terminal[crossed] && return SciMLBase.terminate!(integrator)
    begin_at!(watch, integrator.f, after, integrator.p, t, crossed)
    t < followed.times[end] && SciMLBase.auto_dt_reset!(integrator)
    return nothing
end

const NOT_FOLLOWED, TOO_MANY_EVENTS, NO_NUMBERS = "NotFollowed", "MaxEvents", "NoNumbers"

"""
    follow(equation, type, y0, n, times, nt, ys, last, alg, abstol, reltol, control)

Solve from the first time to the last, from event to event, and write the values at the times; `last` is the event that
happened at the first one, or 0. Returns what happened, to be read by `write_events`, the numbers of events and of times
that were passed, the return code, the time reached, and four counts.

In the place of a return code stand `NOT_FOLLOWED`, where the solver is none whose steps may be cut, `TOO_MANY_EVENTS`,
and `NO_NUMBERS`, where a condition is none.
"""
function follow(equation::Hybrid, type, y0, n, times, nt, ys, last, alg, abstol, reltol, control)
    T = float_type(type)
    followed, report = follow_from(
        equation, copy(array(T, y0, n)), copy(array(Float64, times, nt)), array(T, ys, n, nt), last, alg;
        abstol = tolerance(T, abstol), reltol = tolerance(T, reltol), control
    )
    return (followed, length(followed.indices), followed.row - 1, report...)
end

"""What happened on the way from `u0`, and the report."""
function follow_from(equation::Hybrid, u0::Vector{T}, t, ys::Matrix{T}, last, alg; keywords...) where {T}
    followed = Followed{T}(Watch(equation.events, u0), t, ys, Float64[], Int[], Bool[], T[], 2, false)
    copyto!(view(ys, :, 1), u0)
    found = or_stiff(() -> quietly(() -> follow!(followed, equation, u0, last, alg; keywords...)))
    return followed, report(found)
end

function follow!(followed, equation, u0, last, alg; abstol, reltol, control)
    (; watch, times) = followed
    callback = DiscreteCallback(
        followed, integrator -> happen!(followed, integrator); save_positions = (false, false)
    )
    integrator = start(
        equation, u0, similar(u0, 0), times, alg; abstol, reltol, control, callback, save_everystep = false
    )
    integrator isa OrdinaryDiffEqCore.ODEIntegrator || return (NOT_FOLLOWED, times[1], 0, 0, 0, 0)
    if interpolates_poorly(integrator, alg)
        foreach(time -> SciMLBase.add_tstop!(integrator, time), times[2:(end - 1)])
    end
    retcode, reached = try
        begin_at!(watch, integrator.f, integrator.u, integrator.p, times[1], last)
        sol = run!(integrator, control.until_stiff, control.listeners)
        followed.has_too_many ? (TOO_MANY_EVENTS, watch.t) : (string(sol.retcode), Float64(integrator.t))
    catch err
        err isa WrongConditions || rethrow()
        NO_NUMBERS, err.t
    end
    return (retcode, reached, counts(integrator.stats)...)
end

"""Write what has happened into memory at these addresses; the states of an event are three columns."""
function write_events(followed::Followed{T}, times, indices, by_time, states) where {T}
    count = length(followed.indices)
    copyto!(array(Float64, times, count), followed.event_times)
    copyto!(array(Int, indices, count), followed.indices .- 1)
    copyto!(array(Int, by_time, count), followed.by_time)
    copyto!(array(T, states, length(followed.states)), followed.states)
    return nothing
end

"""Write the conditions as they were evaluated last, where some were no numbers."""
function write_conditions(followed::Followed{T}, values) where {T}
    copyto!(array(T, values, length(followed.watch.values)), followed.watch.values)
    return nothing
end

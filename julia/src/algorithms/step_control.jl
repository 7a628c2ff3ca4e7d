# How a solver may step: the common solver options that Python passes on.

"""
    StepControl(;
        dt, dtmin, dtmax, force_dtmin, maxiters, adaptive, tstops, d_discontinuities, grid, norm, controller, factors,
        isoutofdomain, unstable_check, until_stiff, listeners
    )

`nothing` leaves a choice to the solver; `grid` are the times that a scheme steps along; `factors` are those of the
controller, by their names; `until_stiff` has a solve end where the problem is found stiff, see `run!`; `listeners` hear
of the steps.
"""
Base.@kwdef struct StepControl
    dt::Union{Nothing, Float64} = nothing
    dtmin::Union{Nothing, Float64} = nothing
    dtmax::Union{Nothing, Float64} = nothing
    force_dtmin::Union{Nothing, Bool} = nothing
    maxiters::Int = 100_000
    adaptive::Union{Nothing, Bool} = nothing
    tstops::Vector{Float64} = Float64[]
    d_discontinuities::Vector{Float64} = Float64[]
    grid::Vector{Float64} = Float64[]
    norm::Norm = RMS
    controller::Any = nothing
    factors::Dict{Symbol, Float64} = Dict{Symbol, Float64}()
    isoutofdomain::Union{Nothing, Predicate} = nothing
    unstable_check::Union{Nothing, UnstableCheck} = nothing
    until_stiff::Bool = false
    listeners::Union{Nothing, Listeners} = nothing
end

"""
A `StepControl` from what Python passes: expressions as text, functions as addresses, 0 for none, the grid as an address
and a length.
"""
function step_control(;
        dt = nothing, dtmin = nothing, dtmax = nothing, force_dtmin = false, maxiters = 100_000, adaptive = nothing,
        tstops = (), d_discontinuities = (), grid = (0, 0), norm = "rms", own_norm = 0, sizes = (), parameters = 0,
        lanes = 1, controller = nothing, gamma = nothing, qmin = nothing, qmax = nothing, isoutofdomain = nothing, unstable_check = nothing,
        until_stiff = false, listeners = (0, 0, 0)
    )
    factors = (; gamma, qmin, qmax, qmax_first_step = qmax)
    return StepControl(;
        dt, dtmin, dtmax, force_dtmin = force_dtmin ? true : nothing, maxiters, adaptive, tstops = times(tstops),
        d_discontinuities = times(d_discontinuities), grid = grid_at(grid...),
        norm = Norm(Symbol(norm), Int[size for size in sizes], parameters, lanes, pointer_at(own_norm)),
        controller = controller === nothing ? nothing : step_controller(controller),
        factors = Dict{Symbol, Float64}(pair for pair in pairs(factors) if last(pair) !== nothing),
        isoutofdomain = isoutofdomain === nothing ? nothing : predicate(isoutofdomain...),
        unstable_check = unstable_check === nothing ? nothing : UnstableCheck(predicate(unstable_check...)),
        until_stiff, listeners = all(iszero, listeners) ? nothing : Listeners(map(pointer_at, Tuple(listeners))...)
    )
end

times(given) = sort!(Float64[t for t in given])
grid_at(address, length) = iszero(length) ? Float64[] : copy(array(Float64, address, length))

"""The step-size controller that `text` names."""
function step_controller(text::AbstractString)
    made = interpret(text, Vocabulary(String[], construct; constants = CONTROLLERS))
    made isa OrdinaryDiffEqCore.AbstractController && return made
    throw(UnsupportedError("`$text` is not a step-size controller; write for example `PIController(0.14, 0.08)`."))
end

# The solvers' package defines these without exporting them.
const CONTROLLERS = Dict{Symbol, Any}(
    name => getfield(OrdinaryDiffEqCore, name)
        for name in (:IController, :PIController, :PIDController, :PredictiveController)
)

"""Python's names of the options by the keywords of `solve`."""
const OPTION_NAMES = Dict(
    :dt => "dt", :dtmin => "dtmin", :dtmax => "dtmax", :force_dtmin => "force_dtmin", :adaptive => "adaptive",
    :tstops => "tstops", :d_discontinuities => "d_discontinuities", :internalnorm => "norm", :controller => "controller",
    :isoutofdomain => "isoutofdomain", :unstable_check => "unstable_check",
)

"""Options that are fields of a `StepControl`, and those of them that say how long the next step is."""
const FIELD_OPTIONS = (:dt, :dtmin, :dtmax, :force_dtmin, :adaptive, :isoutofdomain, :unstable_check)
const OF_ADAPTIVE_STEPS = (:dtmin, :dtmax, :force_dtmin, :isoutofdomain)

"""
The keyword arguments of `solve` for `control` and `alg`. A fixed-step solve without `dt` steps from time to time of
`t`, and a scheme along its grid; others end steps at the times of `t` too if `ends_at_times`.
"""
function solve_options(control::StepControl, alg, t::Vector{Float64}; ends_at_times = false)
    fixed = has_fixed_steps(control, alg)
    options = Dict{Symbol, Any}(:maxiters => control.maxiters)
    for key in FIELD_OPTIONS
        value = getfield(control, key)
        value === nothing && continue
        fixed && (key in OF_ADAPTIVE_STEPS || value === true) && refuse_option(key, alg, "takes fixed steps")
        options[key] = value
    end
    fixed ? refuse_adapting(control, alg) : add_adapting!(options, control, alg)
    add_stops!(options, control, alg, t, fixed, ends_at_times)
    return options
end

"""What a solver is told of its steps, if it is the same for all times; else nothing."""
function lasting_options(control::StepControl, alg)
    (; tstops, d_discontinuities, listeners) = control
    of_times = has_fixed_steps(control, alg) || !isempty(tstops) || !isempty(d_discontinuities)
    return of_times || listeners !== nothing ? nothing : NamedTuple(solve_options(control, alg, Float64[]))
end

has_fixed_steps(control::StepControl, alg) = control.adaptive === false || !SciMLBase.isadaptive(alg)

"""What tells a solver how to choose its steps."""
function add_adapting!(options, control::StepControl, alg)
    (; norm, controller, factors) = control
    asks_for_norms = alg isa OrdinaryDiffEqCore.OrdinaryDiffEqAlgorithm
    is_of_lanes(norm) && !asks_for_norms && throw(
        UnsupportedError(
            "$(called(alg)) has a norm of its own, in which the errors of trajectories that share steps would be " *
                "averaged; leave shared_steps out, or name a solver of OrdinaryDiffEq, such as Tsit5 or VCABM."
        )
    )
    (asks_for_norms || !is_usual(norm)) && (options[:internalnorm] = norm)
    controller === nothing || (options[:controller] = controller)
    isempty(factors) || (options[:controller] = with_factors(controller, alg, NamedTuple(factors)))
    return options
end

function refuse_adapting(control::StepControl, alg)
    is_usual(control.norm) || is_of_lanes(control.norm) || refuse_option(:internalnorm, alg, "takes fixed steps")
    control.controller === nothing || refuse_option(:controller, alg, "takes fixed steps")
    for name in keys(control.factors)
        refuse_option(name, alg, "takes fixed steps")
    end
    return nothing
end

"""Add the times that steps are to end on. A jump before the start would hide the others."""
function add_stops!(options, control::StepControl, alg, t, fixed, ends_at_times)
    (; tstops, grid) = control
    d_discontinuities = filter(jump -> t[1] < jump < t[end], control.d_discontinuities)
    for (name, stops) in (:tstops => tstops, :d_discontinuities => d_discontinuities)
        isempty(stops) || OrdinaryDiffEqCore.isdtchangeable(alg) || refuse_option(name, alg, "takes steps of one length")
    end
    along = isempty(grid) ? t : grid
    if fixed && (control.dt === nothing || !isempty(grid))
        options[:dt] = maximum(abs, diff(along))
        ends_at_times = true
    end
    ends_at_times && (tstops = vcat(along, tstops))
    isempty(tstops) || (options[:tstops] = tstops)
    isempty(d_discontinuities) || (options[:d_discontinuities] = d_discontinuities)
    return options
end

refuse_option(key, alg, why) = throw(
    UnsupportedError(
        "$(called(alg)) $why, for which the option $(get(OPTION_NAMES, key, key)) says nothing; leave it out, or " *
            "name another solver (for the backward solve, adjoint_method, or adjoint_options of its own)."
    )
)

# How a solver may step: the common solver options that Python passes on.

"""
    StepControl(;
        dt, dtmin, dtmax, maxiters, adaptive, tstops, internalnorm, controller, isoutofdomain, unstable_check, until_stiff
    )

`nothing` leaves a choice to the solver; `until_stiff` has a solve end where the problem is found stiff, see `run!`.
"""
Base.@kwdef struct StepControl
    dt::Union{Nothing, Float64} = nothing
    dtmin::Union{Nothing, Float64} = nothing
    dtmax::Union{Nothing, Float64} = nothing
    maxiters::Int = 100_000
    adaptive::Union{Nothing, Bool} = nothing
    tstops::Vector{Float64} = Float64[]
    internalnorm::Union{Nothing, Function} = nothing
    controller::Any = nothing
    isoutofdomain::Union{Nothing, Predicate} = nothing
    unstable_check::Union{Nothing, UnstableCheck} = nothing
    until_stiff::Bool = false
end

"""A `StepControl` from what Python passes: expressions as text, functions as addresses, 0 for none."""
function step_control(;
        dt = nothing, dtmin = nothing, dtmax = nothing, maxiters = 100_000, adaptive = nothing, tstops = Float64[],
        norm = "rms", controller = nothing, isoutofdomain = 0, unstable_check = 0, until_stiff = false
    )
    return StepControl(;
        dt, dtmin, dtmax, maxiters, adaptive, tstops = Float64[t for t in tstops],
        internalnorm = norm == "max" ? maximum_norm : nothing,
        controller = controller === nothing ? nothing : step_controller(controller),
        isoutofdomain = iszero(isoutofdomain) ? nothing : Predicate(Ptr{Cvoid}(UInt(isoutofdomain))),
        unstable_check = iszero(unstable_check) ? nothing : UnstableCheck(Predicate(Ptr{Cvoid}(UInt(unstable_check)))),
        until_stiff
    )
end

maximum_norm(u::Number, t) = abs(u)
maximum_norm(u, t) = maximum(x -> maximum_norm(x, t), u)

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
    :dt => "dt", :dtmin => "dtmin", :dtmax => "dtmax", :adaptive => "adaptive", :tstops => "tstops",
    :internalnorm => "norm", :controller => "controller", :isoutofdomain => "isoutofdomain",
    :unstable_check => "unstable_check",
)

"""Options that say how long the next step is, which fixed steps are not asked."""
const OF_ADAPTIVE_STEPS = (:dtmin, :dtmax, :internalnorm, :controller, :isoutofdomain)

"""
The keyword arguments of `solve` for `control` and `alg`. A fixed-step solve without `dt` steps from time to time of
`t`.
"""
function solve_options(control::StepControl, alg, t::Vector{Float64})
    fixed = has_fixed_steps(control, alg)
    options = Dict{Symbol, Any}(:maxiters => control.maxiters)
    for key in (:dt, :dtmin, :dtmax, :adaptive, :internalnorm, :controller, :isoutofdomain, :unstable_check)
        value = getfield(control, key)
        value === nothing && continue
        fixed && (key in OF_ADAPTIVE_STEPS || value === true) && refuse_option(key, alg, "takes fixed steps")
        options[key] = value
    end
    steps_by_times = fixed && control.dt === nothing
    steps_by_times && (options[:dt] = maximum(diff(t)))
    isempty(control.tstops) || OrdinaryDiffEqCore.isdtchangeable(alg) ||
        refuse_option(:tstops, alg, "takes steps of one length")
    tstops = steps_by_times ? vcat(t, control.tstops) : control.tstops
    isempty(tstops) || (options[:tstops] = tstops)
    return options
end

has_fixed_steps(control::StepControl, alg) = control.adaptive === false || !SciMLBase.isadaptive(alg)

refuse_option(key, alg, why) = throw(
    UnsupportedError(
        "$(nameof(typeof(alg))) $why, for which the option $(OPTION_NAMES[key]) says nothing; leave it out, or name " *
            "another solver (for the backward solve, adjoint_method, or adjoint_options of its own)."
    )
)

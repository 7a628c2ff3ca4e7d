# Solving until something has happened, found between the ends of steps by the solver's own interpolant.

"""
Whether something happened in the last step, which a C function says of a state and a time; see Python's
`Engine.locate`. `interp_points` is how often it is asked in each step; `u` is for a state within one.
"""
struct EventCondition{T}
    happened::Predicate
    interp_points::Int
    u::Vector{T}
end

function (condition::EventCondition)(u, t, integrator)
    all(isfinite, u) || return false # which the solver is about to find
    SciMLBase.addsteps!(integrator)
    return happened_within(integrator.tprev, t, condition.interp_points) do at
        state_within!(condition.u, integrator, at)
        condition.happened(condition.u, integrator.p, at)
    end
end

"""Whether something had happened by some time of a step, asked at so many, and then for the first such time."""
function happened_within(happened, start, t, interp_points)
    earlier, resolution = start, eps(max(abs(start), abs(t)))
    for point in 1:interp_points
        later = point == interp_points ? t : start + (t - start) * point / interp_points
        if happened(later)
            close_in(happened, earlier, later, resolution)
            return true
        end
        earlier = later
    end
    return false
end

"""Ask between two times, by bisection, for the first one at which it had happened."""
function close_in(happened, earlier, later, resolution)
    while later - earlier > resolution
        middle = earlier + (later - earlier) / 2
        happened(middle) ? (later = middle) : (earlier = middle)
    end
    return nothing
end

"""The state at a time within the last step."""
state_within!(u, integrator, t) = t == integrator.t ? copyto!(u, integrator.u) : integrator(u, t)

"""
    solve_until(equation, happened, interp_points, u0, t0, t1, alg; abstol, reltol, control)

Solve from `t0` until something has happened or `t1` is reached. Returns the time reached and the return code.
"""
function solve_until(
        equation::Equation, happened::Predicate, interp_points, u0::Vector{T}, t0::Float64, t1::Float64, alg;
        abstol, reltol, control::StepControl
    ) where {T}
    has_fixed_steps(control, alg) && control.dt === nothing && throw(
        UnsupportedError(
            "$(called(alg)) takes fixed steps, and the way to an event has no length to divide: give " *
                "options={'dt': ...}."
        )
    )
    condition = EventCondition(happened, interp_points, similar(u0))
    callback = DiscreteCallback(condition, SciMLBase.terminate!; save_positions = (false, false))
    return quietly() do
        integrator = start(equation, u0, T[], [t0, t1], alg; abstol, reltol, control, callback, save_everystep = false)
        sol = run!(integrator, control.until_stiff, control.listeners)
        Float64(integrator.t), string(sol.retcode)
    end
end

"""Solve until something has happened; see `solve_until`."""
function locate(equation, type, y0, n, t0, t1, happened, interp_points, alg, abstol, reltol, control)
    T = float_type(type)
    form = solver_form(equation, alg)
    form isa Partitioned && throw(
        UnsupportedError("$(nameof(typeof(alg))) is a partitioned method, which looks for no events; name another.")
    )
    found = or_stiff() do
        solve_until(
            form, Predicate(pointer_at(happened)), interp_points, copy(array(T, y0, n)), Float64(t0), Float64(t1), alg;
            abstol = tolerance(T, abstol), reltol = tolerance(T, reltol), control
        )
    end
    return found isa FoundStiff ? (found.t, STIFF) : found
end

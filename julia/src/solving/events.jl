# Solving until something has happened, found between the ends of steps by the solver's own interpolant.

"""
Whether something happened in the last step, which a C function says of a state and a time; see Python's
`Engine.locate`. `looks` is how often it is asked in each step; `u` is for a state within one.
"""
struct Looking{T}
    happened::Predicate
    looks::Int
    u::Vector{T}
end

function (looking::Looking)(u, t, integrator)
    all(isfinite, u) || return false # which the solver is about to find
    SciMLBase.addsteps!(integrator)
    start, looks = integrator.tprev, looking.looks
    earlier, resolution = start, eps(max(abs(start), abs(t)))
    for look in 1:looks
        later = look == looks ? t : start + (t - start) * look / looks
        if happened_at(looking, integrator, later)
            close_in(looking, integrator, earlier, later, resolution)
            return true
        end
        earlier = later
    end
    return false
end

"""Ask between two times, by bisection, for the first one at which it had happened."""
function close_in(looking, integrator, earlier, later, resolution)
    while later - earlier > resolution
        middle = earlier + (later - earlier) / 2
        happened_at(looking, integrator, middle) ? (later = middle) : (earlier = middle)
    end
    return nothing
end

function happened_at(looking, integrator, t)
    t == integrator.t ? copyto!(looking.u, integrator.u) : integrator(looking.u, t)
    return looking.happened(looking.u, integrator.p, t)
end

"""
    solve_until(equation, happened, looks, u0, t0, t1, alg; abstol, reltol, control)

Solve from `t0` until something has happened or `t1` is reached. Returns the time reached and the return code.
"""
function solve_until(
        equation::Equation, happened::Predicate, looks, u0::Vector{T}, t0::Float64, t1::Float64, alg;
        abstol, reltol, control::StepControl
    ) where {T}
    has_fixed_steps(control, alg) && control.dt === nothing && throw(
        UnsupportedError(
            "$(nameof(typeof(alg))) takes fixed steps, and the way to an event has no length to divide: give " *
                "options={'dt': ...}."
        )
    )
    looking = Looking(happened, looks, similar(u0))
    callback = DiscreteCallback(looking, SciMLBase.terminate!; save_positions = (false, false))
    return quietly() do
        integrator = start(equation, u0, T[], [t0, t1], alg; abstol, reltol, control, callback, save_everystep = false)
        sol = run!(integrator, control.until_stiff)
        Float64(integrator.t), string(sol.retcode)
    end
end

"""Solve until something has happened; see `solve_until`."""
function locate(equation, type, y0, n, t0, t1, happened, looks, alg, abstol, reltol, control)
    T = float_type(type)
    form = suited(equation, alg)
    form isa Partitioned && throw(
        UnsupportedError("$(nameof(typeof(alg))) is a partitioned method, which looks for no events; name another.")
    )
    found = or_stiff() do
        solve_until(
            form, Predicate(pointer_at(happened)), looks, copy(array(T, y0, n)), Float64(t0), Float64(t1), alg;
            abstol = tolerance(T, abstol), reltol = tolerance(T, reltol), control
        )
    end
    return found isa FoundStiff ? (found.t, STIFF) : found
end

# The forward solve.

"""
    forward(equation, u0, p, t, alg; abstol, reltol, control, dense, ys, further...)

Solve from `t[1]` to `t[end]`, write the values at `t` into the columns of `ys`, and return the solution, which is
dense if `dense`, else holds the values at `t` alone, and the time that was reached. Further keywords are those of `solve`.
"""
function forward(
        equation::Equation, u0::Vector{T}, p::Vector{T}, t::Vector{Float64}, alg;
        abstol, reltol, control::StepControl, dense::Bool, ys::Matrix{T}, further...
    ) where {T}
    saving = only_dense(equation) ? (;) : dense ? saving_all() : saving_at(t)
    return quietly() do
        prob, told = problem_and_options(equation, u0, p, t, alg; abstol, reltol, control, saving..., further...)
        (; until_stiff, listeners) = control
        sol, t_reached = run_to_end(prob, alg; values_at = t[2:(end - 1)], until_stiff, listeners, told...)
        SciMLBase.successful_retcode(sol) && write_values!(ys, equation, sol, t)
        sol, t_reached
    end
end

"""What a solver is told that is to keep its values at these times alone."""
saving_at(t) = (; saveat = t, save_everystep = false, dense = false)

"""The same for all steps and what lies between them, by values of the same types: an integrator compiles once for both."""
saving_all() = (; saveat = Float64[], save_everystep = true, dense = true)

"""
The solution, and the time that was reached: what the solution holds may end before, at the last time saved. Steps end
at the times `values_at` if values between the steps would be poor.
"""
function run_to_end(prob, alg, args...; values_at = (), until_stiff::Bool = false, listeners = nothing, keywords...)
    if has_integrator(alg)
        integrator = SciMLBase.init(prob, alg, args...; keywords...)
        sol = to_end!(integrator, alg, values_at, until_stiff, listeners)
        return sol, Float64(integrator.t)
    end
    listeners === nothing || throw(
        UnsupportedError("$(nameof(typeof(alg))) runs from start to end, and no callback hears of its steps; name another.")
    )
    sol = SciMLBase.solve(prob, alg, args...; keywords...)
    return sol, Float64(sol.t[end])
end

"""The solution of an integrator that goes to its end."""
function to_end!(integrator, alg, values_at, until_stiff, listeners)
    if !isempty(values_at) && interpolates_poorly(integrator, alg)
        foreach(time -> SciMLBase.add_tstop!(integrator, time), values_at)
    end
    return run!(integrator, until_stiff, listeners)
end

"""Whether an equation is solved by an integrator from what `init` is told, and nothing else."""
is_plain(::Equation, alg) = false
is_plain(::Ordinary, alg) = has_integrator(alg)

"""The integrator of the equation from `t[1]` to `t[end]`; further keywords are those of `solve`."""
function start(equation::Equation, u0, p, t, alg; keywords...)
    has_integrator(alg) || throw(
        UnsupportedError("$(nameof(typeof(alg))) runs from start to end, and looks for no events; name another.")
    )
    prob, told = problem_and_options(equation, u0, p, t, alg; keywords...)
    return SciMLBase.init(prob, alg; told...)
end

"""The problem, and what `solve` is told."""
function problem_and_options(equation::Equation, u0, p, t, alg; abstol, reltol, control, further...)
    check_precision(alg, eltype(u0))
    check_tolerances(alg, abstol, reltol)
    check_steps(equation, u0, t[1], alg, control)
    prob = problem(equation, u0, p, (t[1], t[end]))
    # Noise is drawn for the first step as soon as there is an integrator: a stop that it hears of later comes too late.
    of_steps = solve_options(control, alg, t; ends_at_times = !has_values_between_steps(equation))
    return prob, (; abstol, reltol, options(equation)..., further..., of_steps...)
end

function check_precision(alg, T)
    takes_precision(alg, T) || throw(
        UnsupportedError(
            "$(nameof(typeof(alg))) takes states of double precision alone, and this one is of $(lowercase(string(T))). " *
                "Give it y0.double(), or name another solver."
        )
    )
    return nothing
end

"""
Refuse tolerances that differ between components where a solver takes a number: Rosenbrock methods hand the relative one
to a linear solver, fully implicit ones compare either with numbers.
"""
function check_tolerances(alg, abstol, reltol)
    algs = alg isa OrdinaryDiffEqCore.CompositeAlgorithm ? alg.algs : (alg,)
    reltol isa Real || refuse_tolerance(
        filter(takes_one_reltol, algs), "rtol",
        "Give one number (atol may differ between components), or name another solver, such as Tsit5 or KenCarp4."
    )
    abstol isa Real || refuse_tolerance(
        filter(takes_one_abstol, algs), "atol", "Give one number, or name another solver, such as Rodas5P or FBDF."
    )
    return nothing
end

takes_one_reltol(alg) = alg isa OrdinaryDiffEqCore.RosenbrockAlgorithm || takes_one_abstol(alg)
takes_one_abstol(alg) = nameof(parentmodule(typeof(alg))) === :OrdinaryDiffEqFIRK

function refuse_tolerance(refusing, name, advice)
    isempty(refusing) && return nothing
    throw(UnsupportedError("$(nameof(typeof(first(refusing)))) takes one $name for all components. $advice"))
end

function write_values!(ys::AbstractMatrix, equation::Equation, sol, t::Vector{Float64})
    for i in eachindex(t)
        flatten!(view(ys, :, i), equation, state_at(sol, t, i))
    end
    return ys
end

"""The solver's state at `t[i]`: a solution that is not dense holds these alone."""
state_at(sol, t, i) = sol.dense ? sol(t[i]) : sol.u[i]

"""One with noise is never dense, and may hold all steps, of which some end at these times."""
function state_at(sol::SciMLBase.AbstractRODESolution, t, i)
    length(sol.t) == length(t) && return sol.u[i]
    step = searchsortedfirst(sol.t, t[i])
    step <= length(sol.t) && sol.t[step] == t[i] ||
        throw(UnsupportedError("No step along the noise ended at t = $(t[i])."))
    return sol.u[step]
end

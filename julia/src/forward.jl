# The forward solve.

"""
    forward(equation, u0, p, t, alg; abstol, reltol, control, dense, ys)

Solve from `t[1]` to `t[end]`, write the values at `t` into the columns of `ys`, and return the solution, which is
dense if `dense`, else holds the values at `t` alone, and the time that was reached.
"""
function forward(
        equation::Equation, u0::Vector{T}, p::Vector{T}, t::Vector{Float64}, alg;
        abstol, reltol, control::StepControl, dense::Bool, ys::Matrix{T}
    ) where {T}
    saving = dense || only_dense(equation) ? (;) : (; saveat = t, save_everystep = false, dense = false)
    return quietly() do
        integrator = start(equation, u0, p, t, alg; abstol, reltol, control, saving...)
        sol = SciMLBase.solve!(integrator)
        SciMLBase.successful_retcode(sol) && write_values!(ys, equation, sol, t)
        sol, Float64(integrator.t)
    end
end

"""The integrator of the equation from `t[1]` to `t[end]`; further keywords are those of `solve`."""
function start(equation::Equation, u0, p, t, alg; abstol, reltol, control, further...)
    check_reltol(alg, reltol)
    made = problem(equation, u0, p, (t[1], t[end]))
    return SciMLBase.init(
        made, alg; abstol, reltol, options(equation)..., further..., solve_options(control, alg, t)...
    )
end

check_reltol(alg, reltol::Real) = nothing

"""Rosenbrock methods hand the relative tolerance to a linear solver, which takes a number."""
function check_reltol(alg, reltol)
    algs = alg isa OrdinaryDiffEqCore.CompositeAlgorithm ? alg.algs : (alg,)
    refusing = filter(alg -> alg isa OrdinaryDiffEqCore.RosenbrockAlgorithm, algs)
    isempty(refusing) && return nothing
    throw(
        UnsupportedError(
            "$(nameof(typeof(first(refusing)))) takes one rtol for all components. Give one number (atol may differ " *
                "between components), or name another solver, such as Tsit5 or KenCarp4."
        )
    )
end

function write_values!(ys::Matrix, equation::Equation, sol, t::Vector{Float64})
    for i in eachindex(t)
        flatten!(view(ys, :, i), equation, state_at(sol, t, i))
    end
    return ys
end

"""The solver's state at `t[i]`: a solution that is not dense holds these alone."""
state_at(sol, t, i) = sol.dense ? sol(t[i]) : sol.u[i]

# A failed solve is reported by its return code; the solver's own warnings would only repeat it on the terminal.
quietly(f) = with_logger(f, NullLogger())

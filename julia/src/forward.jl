# The forward solve.

"""
    forward(callbacks, u0, p, t, alg; abstol, reltol, control, mass_matrix, dense, ys)

Solve from `t[1]` to `t[end]`, write the values at `t` into the columns of `ys`, and return the solution, which is
dense if `dense`, else holds the values at `t` alone, and the time that was reached.
"""
function forward(
        callbacks::Callbacks, u0::Vector{T}, p::Vector{T}, t::Vector{Float64}, alg;
        abstol, reltol, control::StepControl, mass_matrix, dense::Bool, ys::Matrix{T}
    ) where {T}
    saving = dense ? (;) : (; saveat = t, save_everystep = false, dense = false)
    return quietly() do
        integrator = start(callbacks, u0, p, t, alg; abstol, reltol, control, mass_matrix, saving...)
        sol = SciMLBase.solve!(integrator)
        SciMLBase.successful_retcode(sol) && write_values!(ys, sol, t, dense)
        sol, Float64(integrator.t)
    end
end

"""The integrator of the callbacks' equation from `t[1]` to `t[end]`; further keywords are those of `solve`."""
function start(callbacks, u0, p, t, alg; abstol, reltol, control, mass_matrix, further...)
    check_reltol(alg, reltol)
    f = ode_function(callbacks, mass_matrix)
    problem = ODEProblem{true, SciMLBase.FullSpecialize}(f, u0, (t[1], t[end]), p)
    return SciMLBase.init(problem, alg; abstol, reltol, further..., solve_options(control, alg, t)...)
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

function write_values!(ys::Matrix, sol, t::Vector{Float64}, dense::Bool)
    for i in eachindex(t)
        column = view(ys, :, i)
        dense ? sol(column, t[i]) : copyto!(column, sol.u[i])
    end
    return ys
end

# A failed solve is reported by its return code; the solver's own warnings would only repeat it on the terminal.
quietly(f) = with_logger(f, NullLogger())

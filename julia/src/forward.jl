# The forward solve.

"""
    StepControl(; dt, dtmin, dtmax, maxiters, adaptive)

How a solver may step; `nothing` leaves a choice to the solver.
"""
Base.@kwdef struct StepControl
    dt::Union{Nothing, Float64} = nothing
    dtmin::Union{Nothing, Float64} = nothing
    dtmax::Union{Nothing, Float64} = nothing
    maxiters::Int = 100_000
    adaptive::Union{Nothing, Bool} = nothing
end

"""The keyword arguments of `solve` for `control`; a fixed-step solve without `dt` steps from time to time of `t`."""
function solve_options(control::StepControl, t::Vector{Float64})
    options = Dict{Symbol, Any}(:maxiters => control.maxiters)
    for key in (:dt, :dtmin, :dtmax, :adaptive)
        value = getfield(control, key)
        value === nothing || (options[key] = value)
    end
    if control.adaptive === false && control.dt === nothing
        options[:dt] = maximum(diff(t))
        options[:tstops] = t
    end
    return options
end

"""
    forward(callbacks, u0, p, t, alg; abstol, reltol, control, dense, ys)

Solve from `t[1]` to `t[end]`, write the values at `t` into the columns of `ys`, and return the solution, which is
dense if `dense`, else holds the values at `t` alone, and the time that was reached.
"""
function forward(
        callbacks::Callbacks, u0::Vector{T}, p::Vector{T}, t::Vector{Float64}, alg;
        abstol, reltol, control::StepControl, dense::Bool, ys::Matrix{T}
    ) where {T}
    problem = ODEProblem{true, SciMLBase.FullSpecialize}(ode_function(callbacks), u0, (t[1], t[end]), p)
    saving = dense ? (;) : (; saveat = t, save_everystep = false, dense = false)
    return quietly() do
        integrator = SciMLBase.init(problem, alg; abstol, reltol, saving..., solve_options(control, t)...)
        sol = SciMLBase.solve!(integrator)
        SciMLBase.successful_retcode(sol) && write_values!(ys, sol, t, dense)
        sol, Float64(integrator.t)
    end
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

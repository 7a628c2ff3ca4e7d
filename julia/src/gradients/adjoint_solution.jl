# The forward solution as an adjoint reads it.

"""
The forward solution for the adjoint, which is solved for again where that of the forward solver is poor between its steps:
see `interpolating_algorithm`. That of an equation in parts becomes one of an ordinary equation, known at the saved times;
adjoints that solve again between them do so by `alg`.
"""
adjoint_solution(solved::Solved{<:Union{Stochastic, Steady}}, alg, sensealg; bounds...) = solved.sol

function adjoint_solution(solved::Solved{<:Ordinary}, alg, sensealg; abstol, reltol, control)
    (; sol, t) = solved
    sol.alg isa FixedSteps && interpolates(sensealg) && return with_slopes(sol)
    dense = has_fixed_steps(control, sol.alg) ? sol.alg : interpolating_algorithm(sol.alg, length(sol.u[1]))
    solves_again(sensealg) && return in_own_type(sol, dense)
    interpolates(sensealg) && dense !== sol.alg || return sol
    return solved_again(sol.prob, t, dense, sensealg; abstol, reltol, control)
end

function adjoint_solution(solved::Solved{E, S, T}, alg, sensealg; bounds...) where {E, S, T}
    t, equation = solved.t, ordinary(solved.equation)
    flat(u) = flatten!(Vector{T}(undef, length(u)), solved.equation, u)
    us = [flat(state_at(solved.sol, t, i)) for i in eachindex(t)]
    made = problem(equation, us[1], solved.p, (t[1], t[end]))
    interpolates(sensealg) && return solved_again(made, t, alg, sensealg; bounds...)
    solution = SciMLBase.build_solution(
        made, solves_again(sensealg) ? eager(alg) : alg, t, us; retcode = SciMLBase.ReturnCode.Success
    )
    return solves_again(sensealg) ? in_own_type(solution) : solution
end

"""The solution, as the adjoint reads it, of what stands for the equation that was solved forwards."""
function solved_again(prob, t, alg, sensealg; abstol, reltol, control)
    saving = solves_again(sensealg) ? saving_at(t) : (;)
    sol = quietly() do
        completed(run_to_end(prob, eager(alg); abstol, reltol, saving..., solve_options(control, alg, t)...)...)
    end
    return solves_again(sensealg) ? in_own_type(sol) : sol
end

"""
A solution by fixed steps like `sol` with Hermite's cubics between its steps, whatever the user has there: an adjoint needs
values as accurate as the steps.
"""
function with_slopes(sol)
    sol.alg.cubic && return sol
    (; f, p) = sol.prob
    slopes = map(sol.u, sol.t) do u, t
        slope = similar(u)
        f(slope, u, p, t)
        slope
    end
    k = [[slopes[max(i - 1, 1)], slopes[i]] for i in eachindex(slopes)]
    return SciMLBase.build_solution(
        sol.prob, sol.alg, sol.t, sol.u; interp = like(sol.interp, (; ks = k)), k, dense = true, retcode = sol.retcode,
        stats = sol.stats
    )
end

"""
An interpolation whose values are numbers of type `T`. Others have the type of the times where that is the finer one;
an adjoint of SciMLSensitivity 7.112 that solves again starts with such a value and goes on with the state's type, which
it cannot.
"""
struct InOwnType{T, I <: SciMLBase.AbstractDiffEqInterpolation} <: SciMLBase.AbstractDiffEqInterpolation
    interp::I
end

(own::InOwnType{T})(t::Number, options...) where {T} = convert(Vector{T}, own.interp(t, options...))
(own::InOwnType)(out::AbstractArray, t::Number, options...) = own.interp(out, t, options...)

"""A solution like `sol` whose values between the saved times have the type of those at them, solved again by `alg`."""
function in_own_type(sol, alg = sol.alg)
    T = eltype(eltype(sol.u))
    T === eltype(sol.t) && alg === sol.alg && return sol
    interp = T === eltype(sol.t) ? sol.interp : InOwnType{T, typeof(sol.interp)}(sol.interp)
    return SciMLBase.build_solution(
        sol.prob, eager(alg), sol.t, sol.u; interp, dense = sol.dense, retcode = sol.retcode, stats = sol.stats
    )
end

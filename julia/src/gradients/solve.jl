# Solves that keep what their gradient will need.

"""
Solve and write the values at the times into the memory at `ys`; see `forward`. `sensealg` is the adjoint that will
follow, or nothing; `np` is how many parameters it finds; `dense` keeps the solution between the times.
"""
function solve_equation(equation, type, y0, n, np, times, nt, ys, alg, abstol, reltol, control, sensealg, dense)
    T = float_type(type)
    t = copy(array(Float64, times, nt))
    u0 = copy(array(T, y0, n))
    # The callback reads the module's own parameters: the adjoint needs to know how many there are, not their values.
    p = zeros(T, np)
    form = solver_form(equation, alg)
    solving = forward_algorithm(form, alg, sensealg, control)
    told = (; abstol = tolerance(T, abstol), reltol = tolerance(T, reltol), control, ys = array(T, ys, n, nt))
    return solved_for(form, u0, p, t, alg, solving, sensealg, dense; told...)
end

"""The solution by the solver `solving`, which is `alg` as the adjoint needs it, and what that needs of it."""
function solved_for(form, u0, p, t, alg, solving, sensealg, dense; control, told...)
    sol, t_reached = if keeps_checkpoints(sensealg) && !dense
        forward_by_checkpoints(form, u0, p, t, solving; control, told...)
    elseif form isa Stochastic && sensealg isa DiscreteAdjoint
        forward_with_increments(form, u0, p, t, solving; control, told...)
    else
        keeps = dense || keeps_steps(form, sensealg, control, alg, length(u0))
        forward(form, u0, p, t, solving; control, told..., dense = keeps)
    end
    return solution(form, sol, p, t, t_reached)
end

solution(form, sol, p, t, t_reached) =
    Solved(form, sol, p, t, string(sol.retcode), t_reached, counts(form, sol.stats)...)

"""Whether a solve keeps all of its steps for the adjoint: not where the adjoint would solve again all the same."""
keeps_steps(equation, sensealg, control, alg, n) = needs_dense(sensealg) &&
    (sensealg isa DiscreteAdjoint || has_fixed_steps(control, alg) || interpolating_algorithm(alg, n) === alg)

"""Whose guesses are from everywhere."""
keeps_steps(::Residual, sensealg, control, alg, n) = sensealg !== nothing

"""A solved problem and its report: for Python, two calls take longer. Nothing is solved where the problem is found stiff."""
function solve_and_report(arguments...)
    solved = or_stiff(() -> solve_equation(arguments...))
    return (solved, report(solved)...)
end

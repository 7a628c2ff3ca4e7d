# The adjoint that solves for the state again, backwards in time, by fixed steps of a scheme: from the forward solve's state
# at each time to the time before.

"""
The equations of the adjoint `a`, of the parameters' gradient `g` and of the state, one after another in a vector:
`a' = -aᵀ ∂f/∂y`, `g' = -aᵀ ∂f/∂p`, `y' = f`.
"""
struct Augmented{F, T}
    f::F
    p::Vector{T}
    n::Int
end

"""What a vector holds of the adjoint, the parameters' gradient and the state."""
function parts(equations::Augmented, u)
    n, np = equations.n, length(equations.p)
    return view(u, 1:n), view(u, (n + 1):(n + np)), view(u, (n + np + 1):(2n + np))
end

function (equations::Augmented)(du, u, t)
    (; f, p) = equations
    (a, _, y), (da, dg, dy) = parts(equations, u), parts(equations, du)
    f.f(dy, y, p, t)
    f.vjp(da, a, y, p, t)
    map!(-, da, da)
    isempty(dg) && return nothing
    f.vjp_p(dg, a, y, p, t)
    map!(-, dg, dg)
    return nothing
end

"""`BacksolveAdjoint` by fixed steps of a scheme, as `solve_back!` by others."""
function step_all_back!(dy0::Vector{T}, dp, sol, grads, t, alg::FixedSteps; abstol, reltol, control) where {T}
    equations = Augmented(sol.prob.f, sol.prob.p, length(dy0))
    found = Mismatch{T}(sol, t, abstol, reltol)
    u = [grads[:, end]; zeros(T, length(dp)); state_at(sol, t, length(t))]
    a, g, y = parts(equations, u)
    walked = memory(alg.scheme, equations, u)
    for i in (length(t) - 1):-1:1
        begin_anew!(walked; abstol, reltol)
        walk!(u, walked, alg, equations, grid_between(control, t[i + 1], t[i]), control.listeners)
        note!(found, t[i], y)
        y .= found.values[i]
        a .+= view(grads, :, i)
    end
    dy0 .= a
    dp .= g
    return found
end

"""Memory for steps of these equations."""
memory(scheme::Scheme, equations::Augmented, u) = memory(scheme, u)

"""The times of the steps from a time to an earlier one."""
function grid_between(control::StepControl, from, to)
    (; grid) = control
    isempty(grid) && return [from, to]
    return view(grid, searchsortedfirst(grid, from; rev = true):searchsortedlast(grid, to; rev = true))
end

"""Let `u` go from step to step along the times."""
function walk!(u, walked, alg, equations, times, listeners)
    before = similar(u)
    for (start, stop) in zip(times, Iterators.drop(times, 1))
        copyto!(before, u)
        listeners === nothing || tell(listeners.step, before, start, stop - start)
        advance!(u, alg.scheme, walked, equations, before, Step(start, stop, alg.perturb)) ||
            throw(EndedEarly("ConvergenceFailure", start))
        all(isfinite, u) || throw(EndedEarly("Unstable", stop))
        listeners === nothing || tell(listeners.accept, before, start, stop - start)
    end
    return u
end

# Implicit steps: the equations of the state are solved as they stand, and then those of the adjoint, which are linear.

memory(scheme::Implicit, equations::Augmented, u) = memory(scheme, zeros(eltype(u), equations.n))

"""The equation of the state alone."""
struct OfState{F, T}
    f::F
    p::Vector{T}
end

(equation::OfState)(du, u, t) = equation.f.f(du, u, equation.p, t)
jacobian!(J, equation::OfState, u, t) = equation.f.jac(J, u, equation.p, t)

function advance!(out, scheme::Implicit, memory::ImplicitMemory{T}, equations::Augmented, u, step::Step) where {T}
    (; A, b, c) = scheme.tableau
    (; f, p, n) = equations
    (a, g, y), (to_a, to_g, to_y) = parts(equations, u), parts(equations, out)
    after = zeros(T, n)
    advance!(after, scheme, memory, OfState(f, p), collect(y), step) || return false
    h = step.stop - step.start
    slopes = adjoint_slopes(scheme, memory, OfState(f, p), a, step)
    copyto!(to_y, after)
    add_stages!(to_a, a, h, b, slopes)
    copyto!(to_g, g)
    at_stage, product = zeros(T, n), zeros(T, length(g))
    isempty(g) && return true
    for i in eachindex(b)
        add_stages!(at_stage, a, h, view(A, i, :), slopes)
        f.vjp_p(product, at_stage, memory.u[i], p, time_at(step, c[i], T))
        to_g .-= T(h * b[i]) .* product
    end
    return true
end

"""The derivatives `l[i] = -J[i]ᵀ (a + h Σ A[i, j] l[j])` of the adjoint at the stages that the state has in `memory`."""
function adjoint_slopes(scheme, memory, equation, a::AbstractVector{T}, step) where {T}
    (; A, c) = scheme.tableau
    (; jacobians, u) = memory
    h, n = step.stop - step.start, length(a)
    foreach((i, J) -> jacobian!(J, equation, u[i], time_at(step, c[i], T)), eachindex(jacobians), jacobians)
    negative = [permutedims(-J) for J in jacobians]
    right = reduce(vcat, (N * a for N in negative))
    slopes = lu!(stage_matrix(A, negative, h, axes(A, 1))) \ right
    return [slopes[block(i, n)] for i in axes(A, 1)]
end

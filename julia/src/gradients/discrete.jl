# The discrete adjoint: the exact gradient of the steps that a method took.

"""Products of the dynamics' derivative with `to_k`, the gradient with respect to a derivative."""
struct Products{F, T}
    f::F
    p::Vector{T}
    to_k::Vector{T}
    to_u::Vector{T}
    to_p::Vector{T}
end

Products(sol, n, np) = Products(sol.prob.f, sol.prob.p, (zeros(eltype(sol.u[1]), size) for size in (n, n, np))...)

"""Write the product by the state at a point, which is returned, and add that by the parameters to `dp`."""
function pull!(products::Products, dp, u, t)
    (; f, p, to_k, to_u, to_p) = products
    f.vjp(to_u, to_k, u, p, t)
    isempty(dp) && return to_u
    f.vjp_p(to_p, to_k, u, p, t)
    dp .+= to_p
    return to_u
end

function backward!(
        dy0::Vector{T}, dp::Vector{T}, sol, grads::Matrix{T}, t::Vector{Float64}, alg, ::DiscreteAdjoint;
        abstol, reltol, control::StepControl
    ) where {T}
    products, steps = Products(sol, length(dy0), length(dp)), length(sol.t) - 1
    method = replayed(sol)
    back = zeros(T, length(dy0))
    fill!(dp, 0)
    last = length(t)
    for step in steps:-1:1
        from, to = Float64(sol.t[step]), Float64(sol.t[step + 1])
        before = zeros(T, length(back)) # with respect to the state before the step, beside what goes through it
        while last > 1 && t[last] > from
            grad = view(grads, :, last)
            t[last] == to ? (back .+= grad) : add_between!(back, before, dp, sol, step, t[last], grad, products)
            last -= 1
        end
        heard_back(control.listeners, back, dp, sol, step) do
            step_back!(back, dp, sol, method, products, step)
        end
        back .+= before
    end
    dy0 .= back .+ view(grads, :, 1)
    return nothing
end

"""Go back through a step, of which Python hears as of one of another adjoint's, whose state is the adjoint's."""
heard_back(work, ::Nothing, arguments...) = work()

function heard_back(work, listeners, back, dp, sol, step)
    from, to = sol.t[step + 1], sol.t[step]
    state = [back; dp; sol.u[step + 1]]
    tell(listeners.step, state, from, to - from)
    work()
    tell(listeners.accept, state, from, to - from)
    return nothing
end

"""The stages of an explicit method, and the gradients with respect to the states there."""
struct Stages{T}
    tableau::Tableau
    u::Vector{Vector{T}}
    k::Vector{Vector{T}}
    back::Vector{Vector{T}}
end

"""How the steps of a solution are gone back through."""
replayed(sol) = replayed(sol.alg, sol)
replayed(alg, sol) = Stages(tableau(alg), sol.u[1])

function Stages(tableau::Tableau, u::Vector{T}) where {T}
    return Stages{T}(tableau, ([zero(u) for _ in tableau.b] for _ in 1:3)...)
end

"""Turn `back`, with respect to the state after a step, into that before it, and add to `dp` what the stages depend on."""
function step_back!(back, dp, sol, stages::Stages, products, step)
    evaluate!(stages, sol, step)
    pull_stages!(back, dp, sol, stages, products, step, 1)
    return back
end

"""Compute the stages of a step again."""
function evaluate!(stages::Stages{T}, sol, step) where {T}
    (; A, c) = stages.tableau
    (; f, p) = sol.prob
    h, stepped = sol.t[step + 1] - sol.t[step], step_of(sol, step)
    for i in eachindex(c)
        add_stages!(stages.u[i], sol.u[step], h, view(A, i, 1:(i - 1)), stages.k)
        f.f(stages.k[i], stages.u[i], p, time_at(stepped, c[i], T))
    end
    return nothing
end

"""
Pull `back` through the stages from the last to the one with number `first`, and return the gradient with respect to the
derivative at the stage before that, if there is one.
"""
function pull_stages!(back, dp, sol, stages::Stages{T}, products, step, first) where {T}
    (; A, b, c) = stages.tableau
    h, stepped = T(sol.t[step + 1] - sol.t[step]), step_of(sol, step)
    for i in length(b):-1:first
        to_stage!(products.to_k, back, stages, h, i)
        stages.back[i] .= pull!(products, dp, stages.u[i], time_at(stepped, c[i], T))
    end
    first > 1 && to_stage!(products.to_k, back, stages, h, first - 1)
    foreach(i -> back .+= stages.back[i], first:length(b))
    return products.to_k
end

"""Write the gradient with respect to the derivative at a stage, from the gradients of the later ones and of the step."""
function to_stage!(to_k, back, stages::Stages{T}, h, i) where {T}
    (; A, b) = stages.tableau
    to_k .= (h * T(b[i])) .* back
    for l in (i + 1):length(b)
        iszero(A[l, i]) || (to_k .+= (h * T(A[l, i])) .* stages.back[l])
    end
    return to_k
end

"""A step that a solve took."""
step_of(sol, step) = Step(sol.t[step], sol.t[step + 1], perturbs(sol.alg))

perturbs(alg) = alg isa FixedSteps && alg.perturb

"""
Add the gradient of a value between the ends of a step to those with respect to the states there. Such a value is known
as a mean of the states there, or by Hermite's cubic, of the states and the derivatives at both ends.
"""
function add_between!(after, before, dp, sol, step, time, grad, products::Products{F, T}) where {F, T}
    if sol.alg isa FixedSteps && !sol.alg.cubic
        to_after = T((time - sol.t[step]) / (sol.t[step + 1] - sol.t[step]))
        after .+= to_after .* grad
        before .+= (1 - to_after) .* grad
        return nothing
    end
    SciMLBase.interp_summary(sol.interp) == HERMITE || throw(
        UnsupportedError(
            "DiscreteAdjoint knows the values of $(nameof(typeof(sol.alg))) at the ends of its steps alone, and " *
                "t = $time lies between: put the times of t into options={'tstops': ...}, or choose InterpolatingAdjoint."
        )
    )
    from, to = Float64(sol.t[step]), Float64(sol.t[step + 1])
    h = T(to - from)
    θ = T((time - from) / (to - from))
    to_after = θ^2 * (3 - 2θ)
    after .+= to_after .* grad
    before .+= (1 - to_after) .* grad
    start = time_at(step_of(sol, step), 0, T)
    for (weight, at, t, side) in ((θ * (θ - 1)^2, step, start, before), (θ^2 * (θ - 1), step + 1, to, after))
        products.to_k .= (h * weight) .* grad
        side .+= pull!(products, dp, sol.u[at], t)
    end
    return nothing
end

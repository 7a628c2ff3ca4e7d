# The discrete adjoint: the exact gradient of the steps that a method took.

"""
Products of the dynamics' derivative with `to_k`, the gradient with respect to a derivative. Unless `env` is null, those by
the parameters are added up where they are computed, in the memory that it has for one.
"""
struct Products{F, T}
    f::F
    p::Vector{T}
    to_k::Vector{T}
    to_u::Vector{T}
    to_p::Vector{T}
    env::Ptr{Int}
end

function Products(sol, n, np, listeners)
    (; f, p) = sol.prob
    T, env = eltype(sol.u[1]), listeners === nothing && np > 0 ? environment_of_both(f.vjp) : Ptr{Int}(C_NULL)
    return Products(f, p, zeros(T, n), zeros(T, n), take_vectors(T, env == C_NULL ? np : 0, 1)..., env)
end

"""The environment of compiled products, where both are to be computed at once; null for others."""
environment_of_both(_) = Ptr{Int}(C_NULL)

function environment_of_both(vjp::VJP)
    env = Ptr{Int}(vjp.c_vjp.env)
    return env != C_NULL && unsafe_load(env, Kernels.JOINT) == Kernels.AT_ONCE ? env : Ptr{Int}(C_NULL)
end

"""Let others have the memory of products that are done."""
leave!(products::Products) = leave_vectors!([products.to_p])

"""Write the product by the state at a point, which is returned, and add that by the parameters to `dp`."""
function pull!(products::Products, dp, u, t)
    (; f, p, to_k, to_u, to_p, env) = products
    f.vjp(to_u, to_k, u, p, t)
    (isempty(dp) || env != C_NULL) && return to_u
    f.vjp_p(to_p, to_k, u, p, t)
    add_to!(dp, to_p)
    return to_u
end

"""Have `work` pull products, and `dp` as their sum at the end, if it does not get to be that on the way."""
function added_up!(work, dp, products::Products, u, t)
    (; f, p, to_k, env) = products
    env == C_NULL && return work()
    unsafe_store!(Ptr{Float64}(unsafe_load(env, Kernels.MEMORY)), NaN) # the sum begins anew
    unsafe_store!(env, Kernels.ADDED_UP, Kernels.JOINT)
    try
        work()
        f.vjp_p(dp, to_k, u, p, t)
    finally
        unsafe_store!(env, Kernels.AT_ONCE, Kernels.JOINT)
    end
    return nothing
end

function backward!(
        dy0::Vector{T}, dp::Vector{T}, sol, grads::Matrix{T}, t::Vector{Float64}, alg, ::DiscreteAdjoint;
        abstol, reltol, control::StepControl
    ) where {T}
    products, back = Products(sol, length(dy0), length(dp), control.listeners), zeros(T, length(dy0))
    fill!(dp, 0)
    added_up!(dp, products, sol.u[1], t[1]) do
        steps_back!(back, dp, sol, grads, t, products, control.listeners)
    end
    dy0 .= back .+ view(grads, :, 1)
    leave!(products)
    return nothing
end

"""Go back through all steps: turn `back` into the gradient by the first state, and add to `dp`."""
function steps_back!(back, dp, sol, grads, t, products, listeners)
    method, last = replayed(sol), length(t)
    for step in (length(sol.t) - 1):-1:1
        from, to = Float64(sol.t[step]), Float64(sol.t[step + 1])
        before = zero(back) # with respect to the state before the step, beside what goes through it
        while last > 1 && t[last] > from
            grad = view(grads, :, last)
            t[last] == to ? add_to!(back, grad) : add_between!(method, back, before, dp, sol, step, t[last], grad, products)
            last -= 1
        end
        heard_back(listeners, back, dp, sol, step) do
            step_back!(back, dp, sol, method, products, step)
        end
        add_to!(back, before)
    end
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

"""
The stages of an explicit method, and the gradients with respect to the states there; `seeds` are gradients with respect to
derivatives that values between the ends of the step have brought, up to the stage `used`.
"""
mutable struct Stages{T}
    const method::ExplicitMethod
    const u::Vector{Vector{T}}
    const k::Vector{Vector{T}}
    const back::Vector{Vector{T}}
    const seeds::Vector{Vector{T}}
    used::Int
end

"""How the steps of a solution are gone back through."""
replayed(sol) = replayed(sol.alg, sol)
replayed(alg, sol) = Stages(explicit_method(alg), sol.u[1])

function Stages(method::ExplicitMethod, u::Vector{T}) where {T}
    return Stages{T}(method, ([zero(u) for _ in method.tableau.b] for _ in 1:4)..., method.stages)
end

"""Turn `back`, with respect to the state after a step, into that before it, and add to `dp` what the stages depend on."""
function step_back!(back, dp, sol, stages::Stages, products, step)
    evaluate!(stages, sol, step)
    check_step(stages, sol, step)
    pull_stages!(back, dp, sol, stages, products, step, 1)
    foreach(i -> fill!(stages.seeds[i], 0), 1:stages.used)
    stages.used = stages.method.stages
    return back
end

"""Refuse a step that is another than the tableau's, as those after the first one are of a method of several steps."""
function check_step(stages::Stages{T}, sol, step) where {T}
    stages.method.read === nothing && return nothing
    k = kept_derivatives(stages, sol, step)
    after = add_stages!(similar(stages.u[1]), sol.u[step], sol.t[step + 1] - sol.t[step], stages.method.tableau.b, k)
    isapprox(after, sol.u[step + 1]; rtol = cbrt(eps(T)), atol = cbrt(eps(T))^2) || refuse_tableau(sol.alg)
    return nothing
end

"""Find the stages of a step again: from the derivatives that the solution has kept, if it has."""
function evaluate!(stages::Stages, sol, step)
    u, stepped, k = sol.u[step], step_of(sol, step), kept_derivatives(stages, sol, step)
    k === stages.k && return evaluate!(stages, sol.prob.f.f, sol.prob.p, u, stepped)
    for i in 1:stages.used
        add_stages!(stages.u[i], u, stepped.stop - stepped.start, weights_of(stages, i), k)
    end
    return nothing
end

"""The derivatives at the stages of a step as the solution has kept them, or else the memory for them."""
function kept_derivatives(stages::Stages, sol, step)
    stages.method.keeps && sol.dense || return stages.k
    return length(sol.k[step + 1]) >= stages.used ? sol.k[step + 1] : stages.k
end

"""Compute the stages of a step from `u`."""
function evaluate!(stages::Stages{T}, f, p, u, stepped::Step) where {T}
    (; c) = stages.method.tableau
    for i in 1:stages.used
        add_stages!(stages.u[i], u, stepped.stop - stepped.start, weights_of(stages, i), stages.k)
        f(stages.k[i], stages.u[i], p, time_at(stepped, c[i], T))
    end
    return nothing
end

"""With which weights the stages before it are in a stage."""
weights_of(stages::Stages, i) = view(stages.method.tableau.A, i, 1:(i - 1))

"""
Pull `back` through the stages from the last to the one with number `first`, and return the gradient with respect to the
derivative at the stage before that, if there is one.
"""
function pull_stages!(back, dp, sol, stages::Stages{T}, products, step, first) where {T}
    (; c) = stages.method.tableau
    h, stepped = T(sol.t[step + 1] - sol.t[step]), step_of(sol, step)
    for i in stages.used:-1:first
        to_stage!(products.to_k, back, stages, h, i)
        copyto!(stages.back[i], pull!(products, dp, stages.u[i], time_at(stepped, c[i], T)))
    end
    first > 1 && to_stage!(products.to_k, back, stages, h, first - 1)
    foreach(i -> add_to!(back, stages.back[i]), first:stages.used)
    return products.to_k
end

"""Write the gradient with respect to the derivative at a stage, from the gradients of the later ones and of the step."""
function to_stage!(to_k, back, stages::Stages{T}, h, i) where {T}
    (; A, b) = stages.method.tableau
    add_scaled!(copyto!(to_k, stages.seeds[i]), h * T(b[i]), back)
    for l in (i + 1):stages.used
        iszero(A[l, i]) || add_scaled!(to_k, h * T(A[l, i]), stages.back[l])
    end
    return to_k
end

"""A step that a solve took."""
step_of(sol, step) = Step(sol.t[step], sol.t[step + 1], perturbs(sol.alg))

perturbs(alg) = alg isa FixedSteps && alg.perturb

"""
Add the gradient of a value between the ends of a step to those with respect to the states there, or to its stages. Such a
value is the state at the start with weighted stages; by steps of a scheme, a mean of the states at both ends, or Hermite's
cubic, of the states and the derivatives there.
"""
function add_between!(stages::Stages, after, before, dp, sol, step, time, grad, products)
    stages.method.read === nothing && return add_on_line!(after, before, dp, sol, step, time, grad, products)
    h = sol.t[step + 1] - sol.t[step]
    weights = weights_at(stages.method, (time - sol.t[step]) / h)
    add_to!(before, grad)
    for (i, seed) in enumerate(stages.seeds)
        iszero(weights[i]) && continue
        add_scaled!(seed, eltype(seed)(h * weights[i]), grad)
        stages.used = max(stages.used, i)
    end
    return nothing
end

add_between!(method, arguments...) = add_on_line!(arguments...)

"""`add_between!` for steps of a scheme."""
function add_on_line!(after, before, dp, sol, step, time, grad, products::Products{F, T}) where {F, T}
    from, to = Float64(sol.t[step]), Float64(sol.t[step + 1])
    h = T(to - from)
    θ = T((time - from) / (to - from))
    to_after = sol.alg.cubic ? θ^2 * (3 - 2θ) : θ
    add_scaled!(after, to_after, grad)
    add_scaled!(before, 1 - to_after, grad)
    sol.alg.cubic || return nothing
    start = time_at(step_of(sol, step), 0, T)
    for (weight, at, t, side) in ((θ * (θ - 1)^2, step, start, before), (θ^2 * (θ - 1), step + 1, to, after))
        products.to_k .= (h * weight) .* grad
        add_to!(side, pull!(products, dp, sol.u[at], t))
    end
    return nothing
end

# Whether an explicit solver is the wrong one: what runs where no solver is named begins with one, and asks.

"""A solve that an explicit solver was to end only where the problem is not stiff."""
struct FoundStiff <: Exception
    t::Float64
    stats::NTuple{4, Int}
end

Base.showerror(io::IO, err::FoundStiff) = print(io, "the problem is stiff, as found at t = ", err.t)

"""The return code of such a solve."""
const STIFF = "Stiff"

"""What `solving` returns, or a `FoundStiff` that it throws."""
or_stiff(solving) = try
    solving()
catch err
    err isa FoundStiff || rethrow()
    err
end

const FIRST_LOOK = 64 # steps before the first look; there are twice as many before each further one
const FEW_STEPS = 1000 # an explicit solver that is to take no more goes on
const SHARE_OF_STABILITY = 0.7 # of the largest step that is stable, from which on stability is what limits steps

"""
`solve!`, which throws `FoundStiff` where the problem turns out to be stiff if it is to go on `until_stiff` alone, and
tells `listeners` of the steps.
"""
function run!(integrator, until_stiff::Bool, listeners = nothing)
    until_stiff || listeners !== nothing || return SciMLBase.solve!(integrator)
    look, accepted, t = FIRST_LOOK, 0, integrator.t
    while !isempty(integrator.opts.tstops)
        take_step!(integrator, listeners) in GOING_ON || return integrator.sol
        (; naccept, nreject) = integrator.stats
        until_stiff && naccept + nreject >= look || continue
        step = (integrator.t - t) / max(naccept - accepted, 1)
        limited_by_stability(integrator, step) && throw(FoundStiff(integrator.t, counts(integrator.stats)))
        look, accepted, t = 2look, naccept, integrator.t
    end
    return SciMLBase.solve!(integrator)
end

const GOING_ON = (SciMLBase.ReturnCode.Default, SciMLBase.ReturnCode.Success)

"""Whether steps of a mean length are as long as is stable, with many more to come."""
function limited_by_stability(integrator, step)
    left = last(integrator.sol.prob.tspan) - integrator.t
    left > FEW_STEPS * step || return false
    stable = OrdinaryDiffEqCore.alg_stability_size(integrator.alg)
    return step * spectral_radius(integrator) > SHARE_OF_STABILITY * stable
end

const MOST_ITERATIONS = 30
const CONVERGED = 0.05

"""
The spectral radius of the Jacobian where the solve has arrived, by a power method that takes differences of the dynamics
for products (as in RKC: Sommeijer, Shampine & Verwer 1998).
"""
function spectral_radius(integrator)
    (; u, p, t, f) = integrator
    T = eltype(u)
    value, moved, direction = similar(u), similar(u), similar(u)
    f(value, u, p, t)
    for i in eachindex(direction) # alike on all directions
        direction[i] = T(sinpi(T(0.618034) * i))
    end
    distance = sqrt(eps(T)) * max(norm(u), sqrt(eps(T)))
    radius = zero(T)
    for _ in 1:MOST_ITERATIONS
        moved .= u .+ (distance / norm(direction)) .* direction
        f(direction, moved, p, t)
        direction .-= value
        before, radius = radius, norm(direction) / distance
        (iszero(radius) || !isfinite(radius) || abs(radius - before) <= CONVERGED * radius) && break
    end
    return radius
end

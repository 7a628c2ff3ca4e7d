# SciMLSensitivity's algorithms: those that are served, and what they ask for.

"""Adjoints that need the dynamics' values and vector-Jacobian products alone."""
const Adjoint = Union{InterpolatingAdjoint, BacksolveAdjoint, QuadratureAdjoint, GaussAdjoint, GaussKronrodAdjoint}

"""Those that integrate the parameters' gradient apart from the adjoint's state; see `Quadrature`."""
const Gauss = Union{GaussAdjoint, GaussKronrodAdjoint}

"""Forward modes, which solve again from the start with derivatives beside the state, or within its numbers."""
const ForwardMode = Union{ForwardSensitivity, ForwardDiffSensitivity}

is_served(::Union{Adjoint, ForwardMode, SteadyStateAdjoint}) = true

solves_again(sensealg::Adjoint) = hasproperty(sensealg, :checkpointing) && sensealg.checkpointing
solves_again(::BacksolveAdjoint) = false

interpolates(sensealg::Adjoint) = !solves_again(sensealg)
interpolates(::BacksolveAdjoint) = false

joint_products(::Union{InterpolatingAdjoint, BacksolveAdjoint}) = true

takes_jacobian(::Union{ForwardMode, SteadyStateAdjoint}) = true

solves_for_adjoint(::Union{InterpolatingAdjoint, QuadratureAdjoint, Gauss}) = true

follows_noise(::BacksolveAdjoint) = true

may_mislead(::Gauss, alg) = poor_between_steps(alg)
function may_mislead(::QuadratureAdjoint, alg)
    is_implicit(alg) || return poor_between_steps(alg)
    return "its quadrature misses how fast the adjoint of stiff dynamics changes next to each time of t"
end

products(::Type{<:Adjoint}) = (; autojacvec = ZygoteVJP())
# Without one, more than 50 equations would have dual numbers sent through the dynamics.
products(::Type{<:SteadyStateAdjoint}) = (; autojacvec = ZygoteVJP(), linsolve = LinearSolve.LUFactorization())
products(::Type{<:ForwardSensitivity}) = (; autodiff = false, autojacvec = false)

# What a sensitivity algorithm asks of the forward solve and of the dynamics.

"""Whether the adjoint solves the problem again between the values at the saved times."""
solves_again(sensealg) = false
solves_again(sensealg::Adjoint) = hasproperty(sensealg, :checkpointing) && sensealg.checkpointing
solves_again(::BacksolveAdjoint) = false

"""Whether the adjoint asks for the forward solution between its steps."""
interpolates(sensealg) = false
interpolates(sensealg::Adjoint) = !solves_again(sensealg)
interpolates(::BacksolveAdjoint) = false

"""Whether the forward solution must be kept at all of its steps."""
needs_dense(sensealg) = interpolates(sensealg)
needs_dense(::DiscreteAdjoint) = true

"""Whether the adjoint asks for both vector-Jacobian products at the same points."""
joint_products(sensealg) = false
joint_products(::Union{InterpolatingAdjoint, BacksolveAdjoint, DiscreteAdjoint}) = true

"""Whether it asks for the Jacobian whatever the solver is."""
takes_jacobian(sensealg) = false
takes_jacobian(::Union{ForwardMode, SteadyStateAdjoint}) = true

# What a sensitivity algorithm asks of the forward solve and of the dynamics. The extension says it of SciMLSensitivity's.

"""Whether the adjoint solves the problem again between the values at the saved times."""
solves_again(sensealg) = false

"""Whether the adjoint asks for the forward solution between its steps."""
interpolates(sensealg) = false

"""Whether the forward solution must be kept at all of its steps."""
needs_dense(sensealg) = interpolates(sensealg)
needs_dense(::Own) = true

"""Whether some of the steps are to be kept, from which the adjoint takes the others again."""
keeps_checkpoints(sensealg) = false
keeps_checkpoints(sensealg::DiscreteAdjoint) = sensealg.checkpointing

"""Whether the adjoint asks for both vector-Jacobian products at the same points."""
joint_products(sensealg) = false
joint_products(::DiscreteAdjoint) = true

"""Whether it asks for the Jacobian whatever the solver is."""
takes_jacobian(sensealg) = false

"""Whether the backward solve is for the adjoint variable alone, and known only to its tolerances."""
solves_for_adjoint(sensealg) = false
solves_for_adjoint(::DelayAdjoint) = true

"""Whether it goes back along the paths of noise."""
follows_noise(sensealg) = false

"""
Why `sensealg` may give a wrong gradient of the parameters, without a word, from a backward solve by `alg`; "" where
nothing is known against it. Three adjoints integrate that gradient from values between the steps of the solve.
"""
may_mislead(sensealg, alg) = ""
may_mislead(::DelayAdjoint, alg) = poor_between_steps(stepper(alg)) # where the adjoint variable is seen one lag later

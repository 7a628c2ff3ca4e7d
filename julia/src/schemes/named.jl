# Schemes as Python gives them.

"""A solver of fixed steps by an explicit tableau."""
explicit_steps(rows, b, c, order, perturb, cubic) =
    FixedSteps(Explicit(tableau_of(rows, b, c), Int(order)), Bool(perturb), Bool(cubic))

# Schemes as Python gives them: a name, numbers, and whether the solver perturbs and interpolates by cubics.

"""A solver of fixed steps by an explicit tableau."""
function explicit_steps(name, rows, b, c, order, perturb, cubic)
    return FixedSteps(String(name), Explicit(tableau_of(rows, b, c), Int(order)), Bool(perturb), Bool(cubic))
end

"""A solver of fixed steps by an implicit tableau, whose stages take Newton's method up to `max_iters` corrections."""
function implicit_steps(name, rows, b, c, order, perturb, cubic, max_iters)
    scheme = Implicit(tableau_of(rows, b, c), Int(order), Int(max_iters))
    return FixedSteps(String(name), scheme, Bool(perturb), Bool(cubic))
end

"""A solver by Adams methods, which starts by the steps of another one; see `Adams`."""
function adams_steps(name, starter::FixedSteps{Explicit}, bashforth, moulton, implicit, most, max_iters, perturb, cubic)
    weights(rows) = [Float64[weight for weight in row] for row in rows]
    scheme = Adams(
        starter.scheme, weights(bashforth), weights(moulton), Bool(implicit), Int(most), Int(max_iters), starter.scheme.order
    )
    return FixedSteps(String(name), scheme, Bool(perturb), Bool(cubic))
end

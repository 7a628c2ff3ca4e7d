# Dynamics written in Julia that return the derivative, as Zygote differentiates them.

function pull_back!(to_u, to_p, v, dynamics::Returning, u, p, t, sign)
    _, back = Zygote.pullback((u, p) -> dynamics.f(u, p, t), own(u), own(p))
    du, dp = back(sign .* v)
    to_u.pointer == C_NULL || fill_with!(to_u, du)
    add_to!(to_p, dp)
    return nothing
end

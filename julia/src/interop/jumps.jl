# Dynamics that jump at some times: on which side of a jump they are asked.

"""
    beside_jumps(callbacks, jumps, T)

The dynamics, asked just before a jump where a step ends on it, and just behind it where the next step begins, for which
OrdinaryDiffEqCore takes the next number of Float64. Just before and behind are the numbers next to the jump that `T`
holds, in which dynamics get their time. A backward solve comes from the other side: see `jumps_backwards`.
"""
function beside_jumps(callbacks::Callbacks, jumps, ::Type{T}) where {T}
    sides = Dict{Float64, Float64}()
    for jump in jumps
        sides[jump] = prevfloat(T(jump))
        sides[nextfloat(jump)] = nextfloat(T(jump))
    end
    (; c_rhs, c_vjp, c_vjp_p, c_jacobian) = callbacks
    return Callbacks((beside(function_of_time, sides) for function_of_time in (c_rhs, c_vjp, c_vjp_p, c_jacobian))...)
end

beside(f::CFunction, sides) = CFunction(at_sides(f.call, sides), f.env)

at_sides(call::OneVector, sides) = Base.Experimental.@opaque(
    (out::Ptr{Cvoid}, u::Ptr{Cvoid}, t::Float64, env::Ptr{Cvoid}) -> call(out, u, get(sides, t, t), env)
)

at_sides(call::TwoVectors, sides) = Base.Experimental.@opaque(
    (out::Ptr{Cvoid}, v::Ptr{Cvoid}, u::Ptr{Cvoid}, t::Float64, env::Ptr{Cvoid}) ->
    call(out, v, u, get(sides, t, t), env)
)

"""Where a backward solve steps to, so that it arrives behind a jump and goes on before it."""
jumps_backwards(jumps) = nextfloat.(jumps)

# What a solve leaves behind for Python and for the backward pass.

"""A solved problem, kept by Python for the backward pass."""
struct Solved{E <: Equation, S, T}
    equation::E
    sol::S
    p::Vector{T}
    t::Vector{Float64}
    retcode::String
    t_reached::Float64
    nfe::Int
    njac::Int
    accepted::Int
    rejected::Int
end

"""Return code, time reached, evaluations, Jacobians, steps taken and steps rejected."""
const Report = Tuple{String, Float64, Int, Int, Int, Int}

"""What Python reads of a solved problem."""
report(solved::Solved)::Report = (
    solved.retcode, solved.t_reached, solved.nfe, solved.njac, solved.accepted, solved.rejected,
)

report(err::FoundStiff)::Report = (STIFF, err.t, err.stats...)
report(found::Report)::Report = found

counts(stats) = (Int(stats.nf), Int(stats.njacs), Int(stats.naccept), Int(stats.nreject))
counts(::Nothing) = (-1, -1, -1, -1) # a solver that counts nothing

"""Write the values, or derivatives of an order, of a dense solution at the times into the memory at `out`."""
function interpolate(solved::Solved{E, S, T}, times, n, nt, out, derivative) where {E, S, T}
    for (column, t) in zip(eachcol(array(T, out, n, nt)), array(Float64, times, nt))
        flatten!(column, solved.equation, solved.sol(t, Val{Int(derivative)}))
    end
    return nothing
end

"""The times at which the steps of a dense solution began and ended."""
step_times(solved::Solved) = convert(Vector{Float64}, solved.sol.t)

"""How many steps were iterated without end, by methods that go on from there."""
unconverged_steps(solved::Solved) = solved.sol.stats === nothing ? 0 : Int(solved.sol.stats.nnonlinconvfail)

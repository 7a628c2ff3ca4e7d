# A solve that stands: done again with other values, which cross at one address, so that nothing is looked up or chosen.

"""
A solve without what differs from one time to the next: addresses and lengths, which Python writes into the memory at
`request`, where the results are written too (see `RequestSlots`). It keeps what the backward solve needs. Python knows it
by the address of this object, which it keeps alive.
"""
mutable struct Standing{T, E <: Equation, A, F, S, B, R, O}
    const equation::E
    const size::Int
    const parameters::Vector{T} # of which the adjoint needs to know how many there are
    const alg::A
    const solving::F # the solver as the gradient needs it
    const control::StepControl
    const sensealg::S
    const abstol::B
    const reltol::R
    const of_steps::O # what the solver is told of its steps, or nothing where that is to be asked at each solve
    const keeps_steps::Bool
    const request::Ptr{Int}
    backward::Any
    solved::Any

    function Standing{T}(
            equation::E, n, np, alg::A, solving::F, control, sensealg::S, abstol::B, reltol::R, of_steps::O, keeps, request
        ) where {T, E, A, F, S, B, R, O}
        return new{T, E, A, F, S, B, R, O}(
            equation, n, zeros(T, np), alg, solving, control, sensealg, abstol, reltol, of_steps, keeps, request, nothing, nothing
        )
    end
end

"""The slots of a request, from 1: addresses and lengths that Python writes, then what Julia does, as it reports."""
module RequestSlots
    const Y0, TIMES, LENGTH, YS, GRADS, DY0, DP, NFE, NJAC, ACCEPTED, REJECTED, FINITE, WORST, ERROR, SIZE = 1:15
end

read_slot(one::Standing, slot) = unsafe_load(one.request, slot)
write_slot(one::Standing, slot, value::Int) = unsafe_store!(one.request, value, slot)
write_slot(one::Standing, slot, value::Float64) = unsafe_store!(Ptr{Float64}(one.request), value, slot)

"""What `solve_equation` takes, but for what differs, and where the request is."""
function standing(equation, type, n, np, alg, abstol, reltol, control, sensealg, request)
    T = float_type(type)
    form = solver_form(equation, alg)
    solving = forward_algorithm(form, alg, sensealg, control)
    keeps = keeps_steps(form, sensealg, control, alg, n)
    of_steps = is_plain(form, solving) && !keeps_checkpoints(sensealg) ? lasting_options(control, solving) : nothing
    return Standing{T}(
        form, n, np, alg, solving, control, sensealg, tolerance(T, abstol), tolerance(T, reltol), of_steps, keeps,
        Ptr{Int}(UInt(request))
    )
end

"""Its address."""
address(one::Standing) = UInt(pointer_from_objref(one))

solve_standing(address) = or_failed(solve!, address)
pull_back_standing(address) = or_failed(pull_back!, address)
forget_standing(address) = or_failed(forget!, address)

"""Of what is not as it should be, Python is told in the ordinary way, in which the same is done once more."""
or_failed(work, address)::Cint = try
    work(unsafe_pointer_to_objref(address)::Standing) ? 0 : 1
catch
    1
end

forget!(one::Standing) = (one.solved = nothing; true)

function solve!(one::Standing{T}) where {T}
    (; size, parameters, sensealg) = one
    nt = read_slot(one, RequestSlots.LENGTH)
    u0 = copy(array(T, read_slot(one, RequestSlots.Y0), size))
    isfinite(sum(u0)) || return false
    t = copy(array(Float64, read_slot(one, RequestSlots.TIMES), nt))
    ys = array(T, read_slot(one, RequestSlots.YS), size, nt)
    solved = solved_again(one, one.of_steps, u0, parameters, t, ys)
    solved.retcode == SUCCESS || return false
    one.solved = sensealg === nothing ? nothing : solved
    for (slot, count) in zip(RequestSlots.NFE:RequestSlots.REJECTED, (solved.nfe, solved.njac, solved.accepted, solved.rejected))
        write_slot(one, slot, count)
    end
    return true
end

const SUCCESS = string(SciMLBase.ReturnCode.Success)

solved_again(one::Standing, ::Nothing, u0, p, t, ys) = solved_for(
    one.equation, u0, p, t, one.alg, one.solving, one.sensealg, false; one.abstol, one.reltol, one.control, ys
)

"""As `forward` does, of types that are all known."""
function solved_again(one::Standing, of_steps::NamedTuple, u0, p, t, ys)
    (; equation, solving, control, abstol, reltol) = one
    saving = one.keeps_steps ? saving_all() : saving_at(t)
    return quietly() do
        prob = problem(equation, u0, p, (t[1], t[end]))
        integrator = SciMLBase.init(prob, solving; abstol, reltol, options(equation)..., saving..., of_steps...)
        sol = to_end!(integrator, solving, view(t, 2:(length(t) - 1)), control.until_stiff, nothing)
        sol.retcode == SciMLBase.ReturnCode.Success && write_values!(ys, equation, sol, t)
        solution(equation, sol, p, t, Float64(integrator.t))
    end
end

"""How the backward solve is done: what `pull_back` takes, but for what differs."""
function stands_back(one::Standing{T}, alg, abstol, reltol, control) where {T}
    algorithm = backward_algorithm(one.equation, alg, one.sensealg)
    one.backward = (algorithm, (; abstol = T(abstol), reltol = T(reltol), control))
    return nothing
end

pull_back!(one::Standing) = pull_back!(one, one.solved, one.backward...)

function pull_back!(one::Standing{T}, solved::Solved, alg, bounds) where {T}
    dy0 = array(T, read_slot(one, RequestSlots.DY0), one.size)
    dp = array(T, read_slot(one, RequestSlots.DP), length(one.parameters))
    grads = array(T, read_slot(one, RequestSlots.GRADS), one.size, length(solved.t))
    found = gradients!(dy0, dp, solved, grads, alg, one.sensealg; bounds...)
    write_slot(one, RequestSlots.FINITE, Int(isfinite(sum(dy0)) && isfinite(sum(dp)))) # else Python looks at each
    _, worst, err, state = pulled_back(found)
    for (slot, value) in zip(RequestSlots.WORST:RequestSlots.SIZE, (worst, err, state))
        write_slot(one, slot, value)
    end
    return true
end

"""The solved problem, for `pull_back`, which tells what is wrong."""
solved(one::Standing) = one.solved

"""The addresses of the C functions that solve, pull back and forget at the address of a `Standing`; 0 is success."""
standing_functions() = map(
    UInt, (
        @cfunction(solve_standing, Cint, (Ptr{Cvoid},)), @cfunction(pull_back_standing, Cint, (Ptr{Cvoid},)),
        @cfunction(forget_standing, Cint, (Ptr{Cvoid},)),
    )
)

# The tableau of an explicit Runge-Kutta method, read off the solver.

const MOST_STAGES = 64

"""
An explicit method as its solver has it: a step's end needs the first `stages` rows of the tableau, values between the
ends may need the others. `read` has taken a step whose derivatives are unit vectors, so that its values between the ends
are the weights of the stages there; nothing has no such weights. Whether a dense solution `keeps` the derivatives.
"""
struct ExplicitMethod
    tableau::Tableau
    stages::Int
    read::Any
    keeps::Bool
end

ExplicitMethod(tableau::Tableau) = ExplicitMethod(tableau, length(tableau.b), nothing, false)

const EXPLICIT_METHODS = Dict{Any, ExplicitMethod}()

"""
    explicit_method(alg)

The tableau of a solver, read off one of its steps: the derivative that stage `i` is given is the `i`-th unit vector, so
that the state of a later stage shows with which weights the stages so far are in it.
"""
function explicit_method(alg)
    takes_duals(alg) || refuse_tableau(alg) # the others ask for more than values of the dynamics
    return @lock PROBING get!(EXPLICIT_METHODS, has_numbers(alg) ? alg : typeof(alg)) do
        try
            probed_method(alg)
        catch err # of a solver to which such derivatives make no sense, as one that asks for a spectral radius
            err isa InterruptException ? rethrow() : refuse_tableau(alg)
        end
    end
end

explicit_method(alg::FixedSteps{Explicit}) = ExplicitMethod(alg.scheme.tableau)

"""Whether a solver of this type is given by its numbers."""
has_numbers(alg) = alg isa ExplicitRK

refuse_tableau(alg) = throw(
    UnsupportedError(
        "DiscreteAdjoint goes through the stages of explicit Runge-Kutta methods, and $(nameof(typeof(alg))) is none; " *
            "choose InterpolatingAdjoint or GaussAdjoint."
    )
)

function probed_method(alg)
    (A, b, c), integrator = numbers_of_step(alg, 1.0)
    (A_half, b_half, _), _ = numbers_of_step(alg, 0.5)
    rows, within = length(c), integrator(0.5)
    has_tableau = is_explicit(A, rows) && A ≈ A_half && b ≈ b_half && sum(b) ≈ 1 && sum(within) ≈ 0.5
    has_tableau || refuse_tableau(alg) # as where it depends on the step's length
    stages = findlast(!iszero, b)
    keeps = length(integrator.k) >= stages && all(i -> integrator.k[i] == unit(i), 1:stages)
    return ExplicitMethod(Tableau(A[:, 1:rows], b[1:rows], c), stages, integrator, keeps)
end

"""The numbers of a method, from a step of length `dt`, and the integrator that took it."""
function numbers_of_step(alg, dt)
    states, times = Vector{Float64}[], Float64[]
    probing = trial_equation(MOST_STAGES) do du, u, t
        push!(states, copy(u))
        push!(times, t)
        copyto!(du, unit(length(states)))
    end
    control = StepControl(; dt, adaptive = false)
    integrator = start(
        probing, zeros(MOST_STAGES), Float64[], [0.0, dt], alg; abstol = 1.0, reltol = 1.0, control, saving_all()...
    )
    SciMLBase.step!(integrator)
    SciMLBase.addsteps!(integrator)
    rows = 1:min(length(states), MOST_STAGES)
    return (permutedims(reduce(hcat, states[rows])) ./ dt, integrator.u ./ dt, times[rows] ./ dt), integrator
end

"""The unit vector with this number, which is zero beyond the last one."""
unit(number) = Float64[i == number for i in 1:MOST_STAGES]

"""The weights of the stages in the value at a share `θ` of a step."""
weights_at(method::ExplicitMethod, θ) = @lock PROBING copy(method.read(θ))::Vector{Float64}

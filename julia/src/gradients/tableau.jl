# The tableau of an explicit Runge-Kutta method, read off the solver.

const MOST_STAGES = 64
const TABLEAUS = Dict{Type, Tableau}()

"""
    tableau(alg)

The tableau of a solver, read off one of its steps: the derivative that stage `i` is given is the `i`-th unit vector, so
that the state of a later stage shows with which weights the stages so far are in it.
"""
function tableau(alg)
    takes_duals(alg) || refuse_tableau(alg) # the others ask for more than values of the dynamics
    return @lock PROBING get!(() -> probed_tableau(alg), TABLEAUS, typeof(alg))
end

tableau(alg::FixedSteps{Explicit}) = alg.scheme.tableau
tableau(alg::ExplicitRK) = Tableau(alg.tableau.A, alg.tableau.α, alg.tableau.c)

refuse_tableau(alg) = throw(
    UnsupportedError(
        "DiscreteAdjoint goes through the stages of explicit Runge-Kutta methods, and $(nameof(typeof(alg))) is none; " *
            "choose InterpolatingAdjoint or GaussAdjoint."
    )
)

function probed_tableau(alg)
    states, times = Vector{Float64}[], Float64[]
    probing = trial_equation(MOST_STAGES) do du, u, t
        push!(states, copy(u))
        push!(times, t)
        fill!(du, 0)
        length(states) <= MOST_STAGES && (du[length(states)] = 1)
    end
    control = StepControl(; dt = 1.0, adaptive = false)
    integrator = start(
        probing, zeros(MOST_STAGES), Float64[], [0.0, 1.0], alg; abstol = 1.0, reltol = 1.0, control
    )
    SciMLBase.step!(integrator)
    b = copy(integrator.u)
    stages = findlast(!iszero, b)
    A = permutedims(reduce(hcat, states[1:something(stages, 1)]))
    stages !== nothing && is_explicit(A, stages) && sum(b) ≈ 1 || refuse_tableau(alg)
    return Tableau(A[:, 1:stages], b[1:stages], times[1:stages])
end

# The discrete adjoint of implicit Runge-Kutta steps.

replayed(alg::FixedSteps{Implicit}, sol) = memory(alg.scheme, sol.u[1])

"""
The gradients `v` with respect to the stages' derivatives solve the transposed equations of the stages,
`v[j] - h Σ A[i, j] J[i]ᵀ v[i] = h b[j] back`.
"""
function step_back!(back::Vector{T}, dp, sol, stages::ImplicitMemory, products, step) where {T}
    (; scheme) = sol.alg
    (; A, b, c) = scheme.tableau
    stepped, equation, n = step_of(sol, step), OfState(sol.prob.f, sol.prob.p), length(back)
    solved = advance!(similar(back), scheme, stages, equation, sol.u[step], stepped)
    solved || throw(EndedEarly("ConvergenceFailure", stepped.start))
    h, times = stepped.stop - stepped.start, [time_at(stepped, node, T) for node in c]
    foreach((i, J) -> jacobian!(J, equation, stages.u[i], times[i]), eachindex(c), stages.jacobians)
    system = lu!(stage_matrix(A, stages.jacobians, h, axes(A, 1)))
    v = system' \ reduce(vcat, (T(h * weight) .* back for weight in b))
    for i in eachindex(b)
        products.to_k .= view(v, block(i, n))
        add_to!(back, pull!(products, dp, stages.u[i], times[i]))
    end
    return back
end

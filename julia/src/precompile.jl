# What the first solves of a session compile, over the very types that Python passes (its numbers arrive as Int), so that
# they wait less: solves by the solvers that are loaded with the package, and the discrete adjoint; the other adjoints are the
# extension's. Others are loaded when they are asked for, and what they compile cannot be kept here.

function workload_rhs(du::Ptr{T}, u::Ptr{T}, t::Cdouble, env::Ptr{Cvoid})::Cint where {T}
    unsafe_store!(du, -unsafe_load(u))
    return 0
end

function workload_product(out::Ptr{T}, v::Ptr{T}, u::Ptr{T}, t::Cdouble, env::Ptr{Cvoid})::Cint where {T}
    unsafe_store!(out, -unsafe_load(v))
    return 0
end

for T in (Float32, Float64)
    @eval workload_functions(::Type{$T}) = (
        @cfunction(workload_rhs, Cint, (Ptr{$T}, Ptr{$T}, Cdouble, Ptr{Cvoid})),
        @cfunction(workload_product, Cint, (Ptr{$T}, Ptr{$T}, Ptr{$T}, Cdouble, Ptr{Cvoid})),
    )
end

workload(::Type{T}, name, sense) where {T} = workload_by(T, algorithm(name), sense)

function workload_by(::Type{T}, alg, sense; dt = nothing) where {T}
    u0, t, ys, grads, dy0, dp = T[1], [0.0, 0.5, 1.0], zeros(T, 1, 3), ones(T, 1, 3), zeros(T, 1), zeros(T, 1)
    type, tolerance = lowercase(string(T)), 1.0e-5
    rhs, product = workload_functions(T)
    address(array) = Int(pointer(array))
    equation = ordinary_equation(map(Int ∘ UInt, (rhs, product, product, rhs)), (0, 0, 0, 0), type, 1, 0, 0, 0)
    control = step_control(;
        dt, dtmin = nothing, dtmax = nothing, maxiters = 1000, adaptive = dt === nothing ? nothing : false, norm = "rms",
        controller = nothing, until_stiff = sense === nothing
    )
    sensealg = sense === nothing ? nothing : sensitivity_algorithm(sense; abstol = tolerance, reltol = tolerance)
    GC.@preserve u0 t ys grads dy0 dp begin
        solved, = solve_and_report(
            equation, type, address(u0), 1, 1, address(t), 3, address(ys), alg, tolerance, tolerance, control, sensealg,
            false
        )
        sensealg === nothing || pull_back(
            solved, address(grads), address(dy0), 1, address(dp), backward_algorithm(equation, alg), sensealg, tolerance,
            tolerance, control
        )
    end
    return nothing
end

"""Kutta's 3/8 rule, as torchdiffeq's names of explicit steps are."""
three_eighths() = explicit_steps(
    "rk4", ((0.0, 0.0, 0.0, 0.0), (1 / 3, 0.0, 0.0, 0.0), (-1 / 3, 1.0, 0.0, 0.0), (1.0, -1.0, 1.0, 0.0)),
    (1 / 8, 3 / 8, 3 / 8, 1 / 8), (0.0, 1 / 3, 2 / 3, 1.0), 4, false, false
)

@compile_workload begin
    for T in (Float32, Float64), name in ("Tsit5", "DP5")
        workload(T, name, nothing)
    end
    # With Tsit5 and DP5, what runs where no solver is named: at tight tolerances, and for stiff problems and gradients.
    for name in ("Rodas5P", "Vern7")
        workload(Float64, name, nothing)
    end
    for T in (Float32, Float64), sense in (nothing, "DiscreteAdjoint")
        workload_by(T, three_eighths(), sense; dt = 0.5)
    end
end

# A translation; its functions, which a workload would leave behind, are not run.
for f in (from_image, compile_anew)
    precompile(f, (GeneratedCode,))
end

# What the first gradients of a session compile; see PyODEBridge's own.

using PyODEBridge: three_eighths, workload, workload_by

if PrecompileTools.workload_enabled(PyODEBridge)
    @compile_workload begin
        for T in (Float32, Float64), name in ("Tsit5", "DP5"), sense in ("InterpolatingAdjoint", "GaussAdjoint")
            workload(T, name, sense)
        end
        workload(Float64, "Rodas5P", "GaussAdjoint")
        workload(Float64, "Vern7", "InterpolatingAdjoint")
        for T in (Float32, Float64)
            workload_by(T, three_eighths(), "BacksolveAdjoint"; dt = 0.5)
        end
        workload(Float64, "Tsit5", "BacksolveAdjoint")
        workload(Float64, "DP5", "BacksolveAdjoint")
    end
end

# What the first gradients of a session compile, where no sensitivity algorithm is named: few parameters, many, fixed steps
# and stiff problems. See PyODEBridge's own.

using PyODEBridge: three_eighths, workload, workload_by

if PrecompileTools.workload_enabled(PyODEBridge)
    @compile_workload begin
        for T in (Float32, Float64)
            workload(T, "DP5", "InterpolatingAdjoint")
            workload(T, "DP5", "GaussAdjoint")
            workload(T, "Tsit5", "InterpolatingAdjoint")
            workload_by(T, three_eighths(), "BacksolveAdjoint"; dt = 0.5)
        end
        workload(Float64, "Rodas5P", "GaussAdjoint")
    end
end

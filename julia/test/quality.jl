# Aqua's checks of a package's hygiene; left out where Aqua is not installed.

if Base.identify_package("Aqua") === nothing
    @info "Aqua is not installed: its checks are left out"
else
    using Aqua
    @testset "Aqua" begin
        # Solver families are dependencies that are loaded when one of their names is first used.
        Aqua.test_all(PyODEBridge; stale_deps = false, persistent_tasks = false)
        Aqua.test_all(PyODETranslations; persistent_tasks = false)
    end
end

# Ordinary equations from what Python passes.

@testset "a pattern, column by column" begin
    columns, rows = [0, 2, 3], [0, 1, 1]
    made = GC.@preserve columns rows PyODEBridge.pattern(
        Float64, 2, UInt(pointer(columns)), UInt(pointer(rows))
    )
    @test made == [1.0 0.0; 1.0 1.0]
end

# Texts of translations in a depot; what is made of them is tested from Python, since it takes sessions.

using PyODEBridge: MOST_TEXTS, Text, keep, kept_directory, kept_files, parsed, spelt

function in_depot(work, directory)
    pushfirst!(DEPOT_PATH, directory)
    return try
        work()
    finally
        popfirst!(DEPOT_PATH)
    end
end

some_text(number = 0) = Text("# \"\$x\"\nf(x) = x + $number\n", "float32", [("rhs", 2), ("vjp", 3)])

@testset "texts that are kept" begin
    @testset "a file holds all of a text" begin
        @test parsed(spelt(some_text())) == some_text()
        @test hash(some_text()) == hash(parsed(spelt(some_text())))
        @test some_text(1) != some_text()
        @test Text(some_text().source, "float64", [("rhs", 2), ("vjp", 3)]) != some_text()
    end

    @testset "the latest stay" begin
        mktempdir() do directory
            in_depot(directory) do
                for number in 1:(MOST_TEXTS + 3)
                    keep(some_text(number))
                    sleep(0.002) # files are told apart by their times
                end
                keep(some_text(MOST_TEXTS)) # once more
                found = map(file -> parsed(read(file, String)), kept_files())
                @test length(found) == MOST_TEXTS
                @test first(found) == some_text(MOST_TEXTS)
                @test all(number -> some_text(number) in found, 4:(MOST_TEXTS + 3))
                @test length(readdir(kept_directory())) == MOST_TEXTS
            end
        end
    end

    @testset "a depot that cannot be written keeps none" begin
        mktempdir() do directory
            file = joinpath(directory, "file")
            touch(file)
            in_depot(file) do
                @test keep(some_text()) === nothing
                @test isempty(kept_files())
            end
        end
    end
end

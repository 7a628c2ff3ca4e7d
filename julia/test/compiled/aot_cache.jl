# Generated code in a depot; what is made of them is tested from Python, since it takes sessions.

using PyODETranslations: MOST_STORED, GeneratedCode, store, aot_cache_directory, aot_cache_files, deserialised, serialised

function in_depot(work, directory)
    pushfirst!(DEPOT_PATH, directory)
    return try
        work()
    finally
        popfirst!(DEPOT_PATH)
    end
end

some_code(number = 0) = GeneratedCode("# \"\$x\"\nf(x) = x + $number\n", "float32", [("rhs", 2), ("vjp", 3)])

@testset "code that is stored" begin
    @testset "a file holds all of it" begin
        @test deserialised(serialised(some_code())) == some_code()
        @test hash(some_code()) == hash(deserialised(serialised(some_code())))
        @test some_code(1) != some_code()
        @test GeneratedCode(some_code().source, "float64", [("rhs", 2), ("vjp", 3)]) != some_code()
    end

    @testset "the latest stay" begin
        mktempdir() do directory
            in_depot(directory) do
                for number in 1:(MOST_STORED + 3)
                    store(some_code(number))
                    sleep(0.002) # files are told apart by their times
                end
                store(some_code(MOST_STORED)) # once more
                found = map(file -> deserialised(read(file, String)), aot_cache_files())
                @test length(found) == MOST_STORED
                @test first(found) == some_code(MOST_STORED)
                @test all(number -> some_code(number) in found, 4:(MOST_STORED + 3))
                @test length(readdir(aot_cache_directory())) == MOST_STORED
            end
        end
    end

    @testset "a depot that cannot be written stores none" begin
        mktempdir() do directory
            file = joinpath(directory, "file")
            touch(file)
            in_depot(file) do
                @test store(some_code()) === nothing
                @test isempty(aot_cache_files())
            end
        end
    end
end

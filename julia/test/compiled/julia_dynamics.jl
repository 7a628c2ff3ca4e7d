# Dynamics that a user wrote in Julia.

using PyODEBridge: PyODEBridge, WrongDynamicsError
using PyODEBridge.JuliaDynamics: Borrowed, from_source, jacobian!, pull_back!, value!

const RETURNED = "(u, p, t) -> [p.rate * u[1] * u[2] + t, p.weight[1, 2] * u[1]^2 + p.weight[2, 1]]"
const WROTE = """
function (du, u, p, t)
    du[1] = p.rate * u[1] * u[2] + t
    du[2] = p.weight[1, 2] * u[1]^2 + p.weight[2, 1]
end
"""

borrowed(array) = Borrowed(pointer(array), size(array))

@testset "dynamics written in Julia" begin
    u, weight, t = [2.0, 3.0], [1.0 2.0; 5.0 4.0], 0.5
    p = (; rate = 0.7, weight = borrowed(weight))
    GC.@preserve u weight begin
        @testset "$(split(source, '\n')[1])" for source in (RETURNED, WROTE), sign in (1, -1)
            dynamics = from_source(source)
            du, J, to_u, to_rate, to_weight = zeros(2), zeros(2, 2), zeros(2), zeros(1), ones(2, 2)
            v = [10.0, 1.0]
            GC.@preserve du J to_u to_rate to_weight v begin
                value!(borrowed(du), dynamics, borrowed(u), p, t, sign)
                jacobian!(borrowed(J), dynamics, borrowed(u), p, t, sign)
                targets = (; rate = Borrowed(pointer(to_rate), ()), weight = borrowed(to_weight))
                pull_back!(borrowed(to_u), targets, borrowed(v), dynamics, borrowed(u), p, t, sign)
            end
            @test du ≈ sign * [0.7 * 6 + 0.5, 2 * 4 + 5]
            @test J ≈ sign * [0.7 * 3 0.7 * 2; 8 0]
            @test to_u ≈ J' * v
            @test to_rate ≈ sign * [10 * 6]
            @test to_weight ≈ ones(2, 2) + sign * [0 4; 1 0] # added to what is there
        end

        @testset "writing allocates nothing" begin
            dynamics, du = from_source(WROTE), zeros(2)
            measured(du, u, p) = @allocated value!(du, dynamics, u, p, 0.5, 1)
            GC.@preserve du begin
                measured(borrowed(du), borrowed(u), p)
                @test measured(borrowed(du), borrowed(u), p) == 0
            end
        end

        @testset "a last argument may have a default: $source" for source in (
                "(u, p, t, k = 1.0) -> [k * p.rate * u[1], u[2]]", "f(u, p, t, k = 1.0) = [k * p.rate * u[1], u[2]]",
                "f(du, u, p, t = 0.0) = (du[1] = p.rate * u[1]; du[2] = u[2])",
                "f(u, p, t) = [p.rate * u[1], u[2]]\nf(du, u, p, t) = (du .= f(u, p, t))",
            )
            du = zeros(2)
            GC.@preserve du value!(borrowed(du), from_source(source), borrowed(u), p, t, 1)
            @test du ≈ [0.7 * 2, 3]
        end

        @testset "what is not written is NaN" begin
            du = zeros(2)
            dynamics = from_source("(du, u, p, t) -> (du[1] = u[1]; du = [u[1], u[2]])")
            GC.@preserve du value!(borrowed(du), dynamics, borrowed(u), p, t, 1)
            @test isequal(du, [2, NaN])
        end

        @testset "what is none is refused" begin
            @test_throws WrongDynamicsError from_source("f(a, b, c, d = 1) = a")
            @test_throws WrongDynamicsError from_source("1 +")
            @test_throws WrongDynamicsError from_source("(u, p) -> u")
            du = zeros(2)
            GC.@preserve du begin
                @test_throws WrongDynamicsError value!(
                    borrowed(du), from_source("(u, p, t) -> u[1:1]"), borrowed(u), p, t, 1
                )
            end
        end
    end
end

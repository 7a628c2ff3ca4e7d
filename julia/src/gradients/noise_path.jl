# A path along noise as numbers, of which Python takes the steps again, to differentiate them more than once.

"""The increments of the noise over each step, those of the second process behind those of the first."""
function noise_increments(solved::Solved{<:Stochastic})
    return Float64[x for step in solved.sol.W for part in step for x in part]
end

"""Which evaluations are of the diffusion, as ones and zeros, at which part of a step each is, and the weights."""
function noise_numbers(solved::Solved{<:Stochastic})
    tableau = something(noise_tableau(solved.sol.alg))
    return Float64[tableau.is_diffusion; tableau.c; vec(tableau.weights)]
end

# Memory of the parameters' size, which one backward solve leaves to the next: to get as much from the system takes longer
# than to compute what it is for, and memory that was used before is in the caches.

const SPARE = Dict{Tuple{DataType, Int, Int}, Vector{Any}}() # sets of vectors, by type, length and how many
const SPARE_LOCK = ReentrantLock()
const MOST_SPARE = 2^26 # bytes

"""So many vectors of `n` numbers, with whatever is in them."""
function take_vectors(::Type{T}, n, count) where {T}
    left = lock(SPARE_LOCK) do
        sets = get(SPARE, (T, n, count), nothing)
        isnothing(sets) || isempty(sets) ? nothing : pop!(sets)
    end
    return isnothing(left) ? [Vector{T}(undef, n) for _ in 1:count] : left::Vector{Vector{T}}
end

"""Leave vectors to others of their size: as many sets as there are threads."""
function leave_vectors!(vectors::Vector{Vector{T}}) where {T}
    n, count = length(first(vectors)), length(vectors)
    count * n * sizeof(T) * Threads.nthreads() <= MOST_SPARE || return nothing
    lock(SPARE_LOCK) do
        any(((_, size, _),) -> size == n, keys(SPARE)) || empty!(SPARE) # those of another size are no longer asked for
        sets = get!(() -> [], SPARE, (T, n, count))
        length(sets) < Threads.nthreads() && push!(sets, vectors)
    end
    return nothing
end

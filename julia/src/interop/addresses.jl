# What Python passes: arrays as addresses of memory that it owns and keeps alive during the call, types as names.

array(::Type{T}, address::Integer, dims...) where {T} = unsafe_wrap(Array, Ptr{T}(UInt(address)), dims)

pointer_at(address) = Ptr{Cvoid}(UInt(address))

tolerance(::Type{T}, value::Real) where {T} = T(value)
tolerance(::Type{T}, value) where {T} = T[x for x in value]

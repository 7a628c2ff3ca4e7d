# Drift and diffusion as Zygote differentiates them.

function (f::Differentiable)(out::Buffer, u, p, t)
    copyto!(out, values_at(f, size(out), u, p, t))
    return nothing
end

function values_at(f::Differentiable, size, u, p, t)
    out = similar(u, size)
    call!(f.c_value, out, u, t)
    return out
end

function ChainRulesCore.rrule(::typeof(values_at), f::Differentiable, size, u, p, t)
    function pull_back(grad)
        v = convert(Array{eltype(u)}, grad)
        to_u, to_p = similar(u), similar(p)
        call!(f.c_vjp, to_u, v, u, t)
        isempty(to_p) || call!(f.c_vjp_p, to_p, v, u, t)
        nothing_more = ChainRulesCore.NoTangent()
        return nothing_more, nothing_more, nothing_more, to_u, to_p, nothing_more
    end
    return values_at(f, size, u, p, t), pull_back
end

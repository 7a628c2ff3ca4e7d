# Makes a system image of the packages, at the path that is the argument; see `contents.jl`.

using PackageCompiler: create_sysimage

# Packages are taken as sessions have compiled them. PackageCompiler would compile them anew, without machine code, which
# takes as long as the image.
create_sysimage(
    String[]; sysimage_path = only(ARGS), project = dirname(Base.active_project()),
    script = joinpath(@__DIR__, "contents.jl"), sysimage_build_args = `--pkgimages=existing`
)

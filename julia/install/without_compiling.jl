# For the process in which juliapkg installs the packages: it would have all of them compiled, those of solvers that nobody
# may ever name too. What most solves need is compiled afterwards, by the Python half's `install/julia.py`.

import Pkg

ENV["JULIA_PKG_PRECOMPILE_AUTO"] = "0"
Pkg.precompile() = nothing

"""The engine for a machine without Julia: well-kept solvers from PyPI under the names of the same algorithms."""

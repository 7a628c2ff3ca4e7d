"""The compiled lane: dynamics translated to Julia, so that no Python runs within a solve.

It has the phases of torch's exporters, a room each, of which each imports from those before it alone:

- `lowerings`: what each ATen operator becomes, whoever writes it;
- `capture`: from a Python function to its guards, of which the cache key is made, and to a graph of such operators;
- `codegen`: from a graph to Julia, by a scalar emitter or a loop emitter;
- `runtime`: the cache of what was compiled, its comparison with torch, and the workspace of one solve, a `Lane`.
"""

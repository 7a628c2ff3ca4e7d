"""The compiled lane: dynamics translated to Julia, so that no Python runs within a solve.

`reach` finds what a function depends on, `tracing` makes a graph of ATen operations, `operations` says what each
becomes, `numbers` and `loops` write it, `cache` keeps what was compiled, and `lane` hands it to a solve.
"""

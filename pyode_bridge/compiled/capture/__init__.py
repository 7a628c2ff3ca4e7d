"""The phase that finds what a function depends on, and traces it to a graph of ATen operators."""

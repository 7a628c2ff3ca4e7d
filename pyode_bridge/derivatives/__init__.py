"""How torch differentiates a solve: the nodes of autograd's graph, function transforms, and the tensors in use."""

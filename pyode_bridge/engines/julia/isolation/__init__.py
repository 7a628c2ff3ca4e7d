"""Julia in a worker process of its own, which has no torch.

The engine is the same as in this process; its bridge sends each call through a pipe. `start` is the worker's script,
`service` what it does; here, `worker` sends calls to its `process` and waits for the answers, `bridge` makes it a Julia
for the engine, `places` keeps one at hand, and `pool` shares an ensemble out to several. `transfer` says how
arguments cross; arrays do in a `mailbox`.
"""

"""What is joined and then turned is the same, turned and then joined; torch is the judge."""

import pytest
import torch

from pyode_bridge.compiled.capture.tracing import trace
from tests.compiled.capture.graphs import run
from tests.problems import DOUBLE

aten = torch.ops.aten


def rows(y):
    return [2 * y, y.sin(), y * y]


JOINED = {
    "stack": lambda y: torch.stack(rows(y), dim=-1).permute(2, 0, 1),
    "stack in the middle": lambda y: torch.stack(rows(y), dim=1).permute(2, 1, 0),
    "cat": lambda y: torch.cat(rows(y), dim=1).permute(1, 0),
    "cat by the first": lambda y: torch.cat(rows(y)).permute(-1, -2),
    "batches": lambda y: torch.vmap(lambda x: torch.stack([x[0] * x[1], x[2] - x[0]]), in_dims=-1, out_dims=-1)(y),
}


@pytest.mark.parametrize("name", JOINED)
def test_values_stay_and_nothing_is_turned_after_it_was_joined(name):
    y = torch.linspace(-1, 1, 12, dtype=DOUBLE).view(3, 4)
    graph = trace(JOINED[name], [y])
    torch.testing.assert_close(run(graph, y), JOINED[name](y), rtol=0, atol=0)
    turned = [node for node in graph.graph.nodes if node.target == aten.permute.default]
    assert not any(node.args[0].target in (aten.stack.default, aten.cat.default) for node in turned)
    assert all(node.meta["val"].shape == run_shape for node, run_shape in shapes(graph, y))


def shapes(graph, y):
    """Each node that computes, and the shape that its result has."""
    found = []

    class Interpreter(torch.fx.Interpreter):
        def run_node(self, node):
            value = super().run_node(node)
            if node.op == "call_function":
                found.append((node, value.shape))
            return value

    module = torch.fx.GraphModule(dict(graph.tensors), graph.graph)
    Interpreter(module).run(y)
    return found


def test_what_is_used_as_it_was_joined_too_stays():
    y = torch.linspace(-1, 1, 12, dtype=DOUBLE).view(3, 4)

    def func(y):
        joined = torch.stack(rows(y), dim=-1)
        return joined.permute(2, 0, 1).sum(0) + joined.prod(-1)

    torch.testing.assert_close(run(trace(func, [y]), y), func(y), rtol=1e-14, atol=1e-14)

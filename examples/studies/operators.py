"""How many of torch's operations compile, as right-hand sides with gradients, and why the rest do not.

Torch describes its own operations for its own tests, with sample inputs (``OpInfo``). Each one that has gradients, and
takes a tensor of double precision, is made the right-hand side of an equation over that tensor: its results, weighted
and added. A solve of one step and its gradient, with lane='compiled', then translates values and products, and compares
both with torch. Up to two samples each. Torch's descriptions need the package expecttest.
"""

from __future__ import annotations

import argparse
import functools
import multiprocessing
import sys
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

sys.path.insert(0, str(Path(__file__).parents[2]))  # the repository

import pyode_bridge as pb
from examples.support import common
from examples.support.measurements import print_table

SAMPLES = 2
EACH_PROCESS = 100  # operations
QUICK = ("sin", "cumprod", "linalg.solve", "sort", "nn.functional.dropout")
TIMES = (0.0, 1e-6)
DTYPE = torch.float64

COMPILES = "compiles"
REASONS = {  # by words of the refusal
    "has no translation": "an operation without a translation",
    "random": "random numbers",
    "depend on the data": "operations that depend on the data",
    "of at most": "more elements than can be taken apart",
    "writes to a tensor": "statistics of batches that are written to buffers",
    "computes with": "half precision",
}
NO_SAMPLE = "no sample has one"  # a real tensor to be the state, and a result of real or complex numbers


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--operations", nargs="+", help="names; default: all, or a few with --quick")


@functools.cache
def operations() -> dict[str, Any]:
    """Torch's descriptions of those that can be part of a right-hand side, by name."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from torch.testing._internal.common_methods_invocations import op_db
    return {named(one): one for one in op_db if one.supports_autograd and DTYPE in one.supported_dtypes("cpu")}


def named(operation: Any) -> str:
    return f"{operation.name}.{operation.variant_test_name}" if operation.variant_test_name else operation.name


def samples(operation: Any) -> list[Any]:
    """The first ones whose input is a tensor of real numbers, with any."""
    first = [one for one, _ in zip(operation.sample_inputs("cpu", DTYPE), range(SAMPLES), strict=False)]
    return [one for one in first if _is_state(one.input)]


def _is_state(value: Any) -> bool:
    dense = isinstance(value, Tensor) and value.layout == torch.strided
    return dense and value.is_floating_point() and value.numel() > 0 and bool(value.isfinite().all())


def right_hand_side(operation: Any, sample: Any) -> Callable[[Tensor, Tensor], Tensor]:
    """The operation's results, weighted and added, for each element of the input."""

    def func(t: Tensor, y: Tensor) -> Tensor:
        parts = list(numbers_of(operation(y.view(sample.input.shape), *sample.args, **sample.kwargs)))
        values = torch.cat(parts).nan_to_num(0.0, 0.0, 0.0)
        weights = torch.linspace(0.5, 1.5, len(values), dtype=DTYPE)
        return (values * weights).sum().expand_as(y)

    return func


def numbers_of(result: Any) -> Iterator[Tensor]:
    """The tensors of real and complex numbers in a result, flat and real."""
    if isinstance(result, Tensor) and result.is_complex():
        yield torch.view_as_real(result.resolve_conj()).reshape(-1).to(DTYPE)
    elif isinstance(result, Tensor) and result.is_floating_point():
        yield result.reshape(-1).to(DTYPE)
    elif isinstance(result, (tuple, list)):
        for part in result:
            yield from numbers_of(part)


def outcome(name: str, engine: str | None) -> str:
    """`COMPILES`, `NO_SAMPLE`, or the words of a refusal."""
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    operation, found = operations()[name], NO_SAMPLE
    for sample in samples(operation):
        if not has_numbers(operation, sample):
            continue
        found = solved(right_hand_side(operation, sample), sample.input.detach().reshape(-1).clone(), engine)
        if found != COMPILES:
            break
    return found


def has_numbers(operation: Any, sample: Any) -> bool:
    """Whether torch itself gives any, and a gradient of numbers."""
    y = sample.input.detach().clone().requires_grad_()
    try:
        parts = [part for part in numbers_of(operation(y, *sample.args, **sample.kwargs)) if part.numel()]
        differentiable = [part.sum() for part in parts if part.requires_grad]
        found = torch.autograd.grad(sum(differentiable), y, allow_unused=True)[0] if differentiable else None
    except RuntimeError:
        return False
    return bool(parts) and (found is None or bool(found.isfinite().all()))


def solved(func: Callable[[Tensor, Tensor], Tensor], y: Tensor, engine: str | None) -> str:
    """What comes of a solve of one step, and its gradient."""
    y0 = y.requires_grad_()
    try:
        end = pb.odeint(func, y0, torch.tensor(TIMES), method="euler", engine=engine, lane="compiled")[-1]
        if end.requires_grad:
            end.sum().backward()
    except Exception as refusal:
        return " ".join(str(refusal).split())
    return COMPILES


def each_outcome(names: Sequence[str], engine: str | None) -> Iterator[tuple[str, str]]:
    """Outcomes by name, found in one process after the other: none compiles more than 256 dynamics."""
    for begin in range(0, len(names), EACH_PROCESS):
        some = names[begin : begin + EACH_PROCESS]
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as process:
            yield from zip(some, process.map(functools.partial(outcome, engine=engine), some), strict=True)


def reason(found: str) -> str:
    """A refusal in few words."""
    return next((words for part, words in REASONS.items() if part in found), "other")


def main() -> None:
    args = common.measuring_arguments(__doc__, name="operators", own=options)
    names = args.operations or (list(QUICK) if args.quick else list(operations()))
    outcomes: dict[str, str] = {}
    complete = True
    try:
        for name, found in tqdm(each_outcome(names, args.engine), total=len(names)):
            outcomes[name] = found
    except KeyboardInterrupt:
        complete = False
    counted = {name: found for name, found in outcomes.items() if found != NO_SAMPLE}
    counts = Counter(found if found == COMPILES else reason(found) for found in counted.values())
    rows = [(what, str(number), f"{number / max(len(counted), 1):.1%}") for what, number in counts.most_common()]
    print_table(("of torch's operations", "number", "share"), [*rows, ("in all", str(len(counted)), "")])
    refused = {name: found for name, found in counted.items() if found != COMPILES}
    for name, found in sorted(refused.items()):
        print(f"{name}: {found}")
    table = {
        what: {"operations": number, "share": f"{number / len(counted):.1%}"} for what, number in counts.most_common()
    }
    common.write_measurements(args, {"counts": table, "refused": refused}, engine="julia", complete=complete)


if __name__ == "__main__":
    main()

"""Studies of several seeds: the option, the seeds, and statistics over them."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from typing import TypeVar

Row = TypeVar("Row")
Column = TypeVar("Column")


def add_option(parser: argparse.ArgumentParser, usual: int) -> None:
    parser.add_argument("--seeds", type=int, help=f"number of seeds, from --seed; default: {usual}, or 1 with --quick")


def chosen(args: argparse.Namespace, usual: int) -> range:
    return range(args.seed, args.seed + (args.seeds or (1 if args.quick else usual)))


def with_seed(args: argparse.Namespace, seed: int) -> argparse.Namespace:
    """The command line of one of the seeds."""
    return argparse.Namespace(**{**vars(args), "seed": seed})


def over_seeds(
    tables: Sequence[dict[Row, dict[Column, float]]], statistic: Callable[[list[float]], float]
) -> dict[Row, dict[Column, float]]:
    """A statistic over tables of the same shape, one of each seed, cell by cell."""
    return {
        row: {column: statistic([table[row][column] for table in tables]) for column in cells}
        for row, cells in tables[0].items()
    }

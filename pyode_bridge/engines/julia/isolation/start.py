"""The worker's script: makes the package importable without torch, and serves."""

from __future__ import annotations

import os
import sys
import types
from multiprocessing.connection import Connection
from pathlib import Path

PACKAGE = Path(__file__).parents[3]
# What these import at first brings torch with it. The worker's modules are within them and need nothing of it, so
# they find packages there that are empty; moving them out of the package would take them away from what they serve.
WITH_TORCH = ("pyode_bridge", "pyode_bridge.engines")


def without_torch() -> None:
    """Put empty packages in the place of those that import torch."""
    for name in WITH_TORCH:
        folder = PACKAGE.joinpath(*name.split(".")[1:])
        package = types.ModuleType(name)
        package.__path__ = [str(folder)]
        package.__file__ = str(folder / "__init__.py")
        sys.modules[name] = package


def main() -> None:
    """Take two descriptors as arguments, of the connection and of the mailbox."""
    connection_to, mailbox_of = map(int, sys.argv[1:])
    for descriptor in (connection_to, mailbox_of):
        os.set_inheritable(descriptor, False)  # the end of this process must be seen, whatever it starts
    connection: Connection = Connection(connection_to)
    sys.path[:] = connection.recv()
    without_torch()
    from pyode_bridge.engines.julia.isolation.service import Service

    Service(connection, mailbox_of).run()


if __name__ == "__main__":
    main()

"""The worker's script: makes the package importable without torch, and serves."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
import types
from multiprocessing.connection import Connection
from pathlib import Path

PACKAGE = Path(__file__).parents[3]
# What these import at first brings torch with it. The worker's modules are within them and need nothing of it, so
# they find packages there that are empty; moving them out of the package would take them away from what they serve.
WITH_TORCH = ("pyode_bridge", "pyode_bridge.engines")
PR_SET_PDEATHSIG = 1  # of Linux's prctl


def without_torch() -> None:
    """Put empty packages in the place of those that import torch."""
    for name in WITH_TORCH:
        folder = PACKAGE.joinpath(*name.split(".")[1:])
        package = types.ModuleType(name)
        package.__path__ = [str(folder)]
        package.__file__ = str(folder / "__init__.py")
        sys.modules[name] = package


def end_with_parent() -> None:
    """Have the system end this process with the thread that started it, where it can.

    Otherwise it ends where it tells its parent how far it is, or when it is done: Julia, in a solve, gives no other
    thread of this process a chance to look.
    """
    parent = os.getppid()
    with contextlib.suppress(OSError, AttributeError):  # Linux alone has it
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(0)


def main() -> None:
    """Take two descriptors as arguments, of the connection and of the mailbox."""
    end_with_parent()
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

"""The one place that starts Julia.

Known hazards and what is done about each:

- Julia with several threads uses SIGSEGV for its garbage collector, so it must handle signals itself; it then takes
  SIGINT and others too, which are given back to Python here, or Ctrl-C would not stop a solve (PythonCall.jl #219), and
  the user's own handlers of SIGTERM and the like would never run.
- Julia's garbage collector waits for every thread that runs Julia's code, and would take the main thread for one of
  them while it runs Python's: a solve in another thread would hang (PythonCall.jl #578). The main thread is marked as
  outside; whoever calls Julia from it comes inside by himself and goes out again.
- juliacall runs Python's code within Julia's at the first value of a type, where another thread may come in between
  and wait for this one for ever; Julia is shown the usual types at once.
- A fork has one of Julia's threads and waits for the others for ever; see `pyode_bridge.engines.julia.forks`.
- Julia makes pipes at standard input, output and error non-blocking, so that Python would find the end of its input
  where nothing has come yet, and could not write what a reader does not take at once; they are made as they were.
- juliacall may have been imported already by the user, with its own settings; what can no longer be set is said.
- torch before juliacall is the order in which symbols of Julia's LLVM cannot reach torch (pytorch #78829), and
  pyode_bridge always imports torch first; juliacall's warning about that order is silenced.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import importlib
import os
import signal
import sys
import threading
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np

from pyode_bridge.engines.julia.products import share_products
from pyode_bridge.errors import EngineUnavailableError
from pyode_bridge.install.image import PLAIN, SYSIMAGE_VARIABLE, image_for, start_from
from pyode_bridge.install.julia import INSTALL_TIME, REMEDY, can_install, chosen, install_packages, resolved
from pyode_bridge.install.location import (
    EXE_VARIABLE,
    PROJECT_VARIABLE,
    as_environment,
    load_path,
    locate,
)

JULIA_SETTINGS = {
    "PYTHON_JULIACALL_HANDLE_SIGNALS": "yes",
    "PYTHON_JULIACALL_THREADS": "auto",
    "PYTHON_JULIACALL_AUTOLOAD_IPYTHON_EXTENSION": "no",
}
LOAD = """ahead -> begin
    session = Base.identify_package("PyODESession") # what `install` has compiled for first solves
    ahead && Base.isprecompiled(session) && Base.require(session)
    Base.require(Main, :PyODEBridge)
    return nothing
end"""
TRACING = "torch._inductor.config"  # torch.fx imports it, for a second or two, at the first trace of dynamics
PYTHONS_SIGNALS = [
    getattr(signal, name)
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR1")
    if hasattr(signal, name)  # Windows lacks some
]


@functools.cache
def start() -> Any:
    """Start Julia if it is not running, and return the Julia module PyODEBridge; once per process.

    Raises:
        EngineUnavailableError: Julia or its packages are missing, or Julia is already running without a safe setting.
    """
    if threading.current_thread() is not threading.main_thread():
        raise EngineUnavailableError(
            "Julia must be started from the main thread. Call pyode_bridge.start_julia() there first."
        )
    main = _main_module()
    _import_beside(TRACING)
    for folder in load_path():
        main.seval(f'let dir = raw"{folder}"; dir in LOAD_PATH || push!(LOAD_PATH, dir); end')
    try:
        main.seval(LOAD)._jl_call_nogil(start_from() != PLAIN)
        main.seval("import PyODEBridge")
    except Exception as error:
        raise EngineUnavailableError(
            f"Julia runs, but the package PyODEBridge does not load: {str(error).splitlines()[0]} "
            "Run `python -m pyode_bridge doctor` to see which packages are missing."
        ) from error
    share_products(main.PyODEBridge)
    _show_types(main)
    _leave_julia(main)
    return main.PyODEBridge


def _import_beside(name: str) -> None:
    """Import a module of torch in another thread, while this one waits for Julia without Python's lock."""
    if "torch" in sys.modules:  # not in a worker
        threading.Thread(target=_try_to_import, args=(name,), name=f"import {name}").start()


def _try_to_import(name: str) -> None:
    with contextlib.suppress(Exception):  # whoever needs it finds out
        importlib.import_module(name)


def _show_types(main: Any) -> None:
    """Have Julia see a value of each type that programs pass, while no other thread calls it.

    At the first one of a type, juliacall asks Python's classes what it is. Another thread may get Python's lock
    meanwhile and call Julia, whose garbage collector then waits for this thread, which waits for the lock: for ever.
    """
    numbers = True, 0, 0.0, 0j, np.float64(0), np.float32(0), np.int64(0)
    others: tuple[Any, ...] = None, "", b"", (), [], {}, range(0), slice(0), np.zeros(0), start, main
    julias = main.seval("([0.0], zeros(1, 1), Int, Dict())")
    main.applicable(main.identity, *numbers, *others, *julias)


def _leave_julia(main: Any) -> None:
    """Let Julia collect garbage while this thread, which started it, runs Python's code."""
    address = main.seval("UInt(cglobal(:jl_gc_safe_enter))")
    ctypes.PYFUNCTYPE(ctypes.c_int8)(int(address))()  # not within a call into Julia, whose end would undo it


def _main_module() -> Any:
    if "juliacall" in sys.modules:
        _check_running_juliacall()
    else:
        location = locate()
        if location.exe is None and location.project is None:
            _install_if_missing()
        if bool(location.exe) != bool(location.project):
            raise EngineUnavailableError(f"Set both of {EXE_VARIABLE} and {PROJECT_VARIABLE}, or none of them.")
        for name, value in {**JULIA_SETTINGS, **as_environment(location)}.items():
            os.environ.setdefault(name, value)
        _use_image()
        _announce_start()
    try:
        with warnings.catch_warnings(), _signals_kept(), _blocking_kept():
            warnings.filterwarnings("ignore", message="torch was imported before juliacall")
            from juliacall import Main
    except (Exception, SystemExit) as error:
        raise EngineUnavailableError(
            f"Julia could not be started ({type(error).__name__}: {error}). "
            "Run `python -m pyode_bridge doctor` to see what is missing."
        ) from error
    return Main


def _use_image() -> None:
    """Have Julia start from the image that was made for it, if that is current."""
    found = None if SYSIMAGE_VARIABLE in os.environ else chosen()
    image = image_for(*found) if found else None
    if image is None:
        return
    if image.changed:
        print(
            f"pyode_bridge: the system image {image.file} is passed over, for {image.changed} changed since it was "
            "made; `python -m pyode_bridge install --image` makes it anew.",
            file=sys.stderr,
            flush=True,
        )
        return
    os.environ[SYSIMAGE_VARIABLE] = str(image.file)


def _announce_start() -> None:
    """Tell whoever watches why it takes some seconds; nothing in Python runs meanwhile that could show progress."""
    if sys.stderr.isatty() or "ipykernel" in sys.modules:
        print("pyode_bridge: starting Julia; first solves compile, for some seconds too.", file=sys.stderr, flush=True)


def _install_if_missing() -> None:
    """Install Julia and its packages, if they are not there, saying so; or raise at once where that cannot be."""
    if resolved() is not None:
        return
    reason = can_install()
    if reason is not None:
        raise EngineUnavailableError(f"{reason} {REMEDY}")
    print(
        f"pyode_bridge: Julia and its packages are being installed, once; this takes {INSTALL_TIME}. "
        "PYODE_BRIDGE_ENGINE=embedded does without.",
        file=sys.stderr,
        flush=True,
    )
    install_packages()


def _check_running_juliacall() -> None:
    juliacall = sys.modules["juliacall"]
    config = getattr(juliacall, "CONFIG", {})
    if not config.get("inited"):
        return
    threads = juliacall.Main.seval("Threads.nthreads()")
    if config.get("opt_handle_signals") != "yes" and threads > 1:
        raise EngineUnavailableError(
            f"juliacall was imported before pyode_bridge, with {threads} threads and without signal handling, which "
            "kills the process at Julia's next garbage collection. Import pyode_bridge first, or set "
            "PYTHON_JULIACALL_HANDLE_SIGNALS=yes before juliacall is imported."
        )


@contextlib.contextmanager
def _signals_kept() -> Iterator[None]:
    """Give Python back the signals that Julia takes: with their handlers, and unblocked where they were."""
    handlers = {number: signal.getsignal(number) for number in PYTHONS_SIGNALS}
    masked = signal.pthread_sigmask(signal.SIG_BLOCK, ()) if hasattr(signal, "pthread_sigmask") else None
    try:
        yield
    finally:
        for number, handler in handlers.items():
            if handler is not None:  # it was not set by Python
                signal.signal(number, handler)
        if masked is not None:
            signal.pthread_sigmask(signal.SIG_SETMASK, masked)


@contextlib.contextmanager
def _blocking_kept() -> Iterator[None]:
    """Let standard input, output and error block as they did before Julia had them."""
    before = {}
    for descriptor in range(3) if hasattr(os, "get_blocking") else ():  # Windows lacks it before Python 3.12
        with contextlib.suppress(OSError):  # it may be closed
            before[descriptor] = os.get_blocking(descriptor)
    try:
        yield
    finally:
        for descriptor, blocking in before.items():
            os.set_blocking(descriptor, blocking)

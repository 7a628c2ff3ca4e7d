"""What each Julia has compiled so far, and the memory that it works in, for the next solve to find."""

from __future__ import annotations

import collections
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

from torch import Tensor

from pyode_bridge.compiled.capture.start import Start
from pyode_bridge.compiled.codegen.entry_points import memory_size, signatures
from pyode_bridge.compiled.codegen.layout import TENSORS
from pyode_bridge.compiled.codegen.written_functions import WrittenFunctions
from pyode_bridge.compiled.errors import UnsupportedDynamicsError
from pyode_bridge.compiled.runtime.workspace import Environment
from pyode_bridge.problem.dynamics import Dynamics
from pyode_bridge.problem.julia_source import is_written

if TYPE_CHECKING:
    from pyode_bridge.compiled.codegen.traced_functions import TracedFunctions

MOST_TRANSLATIONS = 256  # Julia keeps what it compiled, so no session collects without bound
MOST_OF_ONE_CODE = 16  # translations of one code for the same shapes: by then a Python value changes at each solve
CHANGING = "func changes what it reads (an attribute that counts its calls, for example)"

_tracing = threading.RLock()  # torch traces in one thread at a time
changing: set[Any] = set()  # code that was seen to change what it reads


class Home(Protocol):
    """A Julia, in this process or another, that compiles functions and has them in its memory.

    Attributes:
        translations: what it has compiled so far, by what says whether it serves.
    """

    translations: Translations

    def compile(self, source: str, dtype: str, signatures: list[tuple[str, int]]) -> Sequence[int]:
        """The addresses of functions, whose names come with their numbers of vectors."""

    def environment(self, tensors: int, work_size: int, memory_size: int) -> Environment:
        """An environment of functions that read so many tensors."""

    def evaluate(self, address: int, out: Tensor, vectors: Sequence[Tensor], s: float, env: Environment) -> None:
        """Call the function at an address, which writes ``out``."""


class Translation:
    """What was made of dynamics, for all that are traced to the same graphs.

    Attributes:
        addresses: of the C functions so far, by name.
        constants: tensors that they read, beside those from outside.
        idle: environments that no solve has at the moment, by how much they hold.
        checked: names of the functions that were compared with torch.
        refusal: why the callbacks are used after all, or None.
    """

    def __init__(self) -> None:
        self.addresses: dict[str, int] = {}
        self.constants: list[Tensor] = []
        self.idle: dict[tuple[int, int], list[Environment]] = {}
        self.checked: set[str] = set()
        self.refusal: str | None = None
        self._work_size = 0
        self._adding = threading.RLock()

    def has_all(self, names: Sequence[str], *, jacobian: bool) -> bool:
        """Whether these functions are compiled and compared, and a Jacobian, if that is wanted and can be had."""
        return self.checked.issuperset(names) and (not jacobian or "jacobian" in self.checked)

    def add(self, names: Sequence[str], start: Start, tensors: Sequence[Tensor], home: Home) -> None:
        """Compile the functions of those names that are missing."""
        if all(name in self.addresses for name in names):
            return
        with self._adding:
            self._add([name for name in names if name not in self.addresses], start, tensors, home)

    def _add(self, missing: Sequence[str], start: Start, tensors: Sequence[Tensor], home: Home) -> None:
        if not missing:
            return  # another thread has added them
        dynamics = start.dynamics
        functions = self._functions(start, tensors)
        with _tracing:
            text = "\n".join(_text(functions, name) for name in missing)
        called = signatures(missing)
        found = home.compile(text, str(dynamics.structure.dtype).removeprefix("torch."), called)
        self._work_size = max(self._work_size, functions.work_size)
        self.idle = {}  # those so far may be too small, and know nothing of these functions
        if is_written(dynamics.func):
            self.checked.update(missing)  # torch has nothing to compare with
        # The last: what another thread finds here, it calls with an environment that it makes then.
        addresses = {name: int(address) for (name, _), address in zip(called, found, strict=True)}
        self.addresses.update({name: addresses.get(name, 0) for name in missing})

    def _functions(self, start: Start, tensors: Sequence[Tensor]) -> TracedFunctions | WrittenFunctions:
        if is_written(start.dynamics.func):
            return WrittenFunctions(start.dynamics, tensors)
        from pyode_bridge.compiled.codegen.traced_functions import (
            TracedFunctions,  # torch's tracing takes a while to load
        )

        return TracedFunctions(start, tensors, self.constants)

    def environment(self, dynamics: Dynamics, read: Sequence[Tensor], home: Home) -> Environment:
        """One that no other solve has, for functions that read these tensors; `give_back` it."""
        try:  # no look first whether there is one: other threads take them too
            environment = self._idle_of(TENSORS - 1 + len(read), self._work_size).pop()
        except IndexError:
            memory = memory_size(dynamics.size, dynamics.parameter_size, dynamics.structure.dtype)
            environment = home.environment(len(read), self._work_size, memory)
        environment.begin(read)
        return environment

    def give_back(self, environment: Environment) -> None:
        """The next solve may have it."""
        environment.rest()
        self._idle_of(environment.size, environment.work_size).append(environment)

    def _idle_of(self, size: int, work_size: int) -> list[Environment]:
        return self.idle.setdefault((size, work_size), [])


class Translations:
    """All of one Julia.

    Attributes:
        known: by what is traced to the same graphs.
        familiar: those of dynamics that need no trial, with the places of what it would find; see `familiar`.
    """

    def __init__(self) -> None:
        self.known: dict[Any, Translation] = {}
        self.familiar: dict[Any, tuple[Translation, tuple[int, ...], tuple[int, ...]]] = {}
        self._of_one_code: collections.Counter[Any] = collections.Counter()

    def of(self, key: Any, code: Any, shapes: Any) -> Translation:
        """The one for a key, or a new one; raises UnsupportedDynamicsError where there are too many."""
        found = self.known.get(key)
        if found is not None:
            return found
        if code in changing:
            raise UnsupportedDynamicsError(CHANGING)
        if len(self.known) >= MOST_TRANSLATIONS:
            raise UnsupportedDynamicsError(
                f"{MOST_TRANSLATIONS} dynamics were compiled in this session, and no more are"
            )
        if self._of_one_code[code, shapes] >= MOST_OF_ONE_CODE:
            raise UnsupportedDynamicsError(
                f"func was compiled {MOST_OF_ONE_CODE} times for different Python values; make tensors of values that "
                "change"
            )
        self._of_one_code[code, shapes] += 1
        self.known[key] = Translation()
        return self.known[key]


def _text(functions: TracedFunctions | WrittenFunctions, name: str) -> str:
    """The text of a function; whatever goes wrong with it, the callbacks can serve."""
    try:
        return functions.text(name)
    except UnsupportedDynamicsError:
        raise
    except Exception as error:
        raise UnsupportedDynamicsError(f"its translation failed ({type(error).__name__}: {error})") from error

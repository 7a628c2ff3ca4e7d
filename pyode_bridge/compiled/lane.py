"""Dynamics as compiled C functions, with what these read and write at one solve."""

from __future__ import annotations

import collections
import threading
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor

from pyode_bridge.compiled import familiar
from pyode_bridge.compiled.comparison import Start, compare
from pyode_bridge.compiled.environment import Environment
from pyode_bridge.compiled.layout import TENSORS
from pyode_bridge.compiled.reach import Reach, reach
from pyode_bridge.compiled.refusals import RefusedHereError, UntranslatableError
from pyode_bridge.compiled.source import memory_size, signatures
from pyode_bridge.compiled.written import WrittenFunctions
from pyode_bridge.problem.dynamics import Dynamics
from pyode_bridge.problem.julia_source import is_written

if TYPE_CHECKING:
    from pyode_bridge.compiled.functions import Functions

MOST_TRANSLATIONS = 256  # Julia keeps what it compiled, so no session collects without bound
MOST_OF_ONE_CODE = 16  # translations of one code for the same shapes: by then a Python value changes at each solve
CHANGING = "func changes what it reads (an attribute that counts its calls, for example)"

_tracing = threading.RLock()  # torch traces in one thread at a time


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

    def _functions(self, start: Start, tensors: Sequence[Tensor]) -> Functions | WrittenFunctions:
        if is_written(start.dynamics.func):
            return WrittenFunctions(start.dynamics, tensors)
        from pyode_bridge.compiled.functions import Functions  # torch's tracing takes a while to load

        return Functions(start, tensors, self.constants)

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
        """The one for a key, or a new one; raises UntranslatableError where there are too many."""
        found = self.known.get(key)
        if found is not None:
            return found
        if code in _changing:
            raise UntranslatableError(CHANGING)
        if len(self.known) >= MOST_TRANSLATIONS:
            raise UntranslatableError(f"{MOST_TRANSLATIONS} dynamics were compiled in this session, and no more are")
        if self._of_one_code[code, shapes] >= MOST_OF_ONE_CODE:
            raise UntranslatableError(
                f"func was compiled {MOST_OF_ONE_CODE} times for different Python values; make tensors of values that "
                "change"
            )
        self._of_one_code[code, shapes] += 1
        self.known[key] = Translation()
        return self.known[key]


def _text(functions: Functions | WrittenFunctions, name: str) -> str:
    """The text of a function; whatever goes wrong with it, the callbacks can serve."""
    try:
        return functions.text(name)
    except UntranslatableError:
        raise
    except Exception as error:
        raise UntranslatableError(f"its translation failed ({type(error).__name__}: {error})") from error


_changing: set[Any] = set()  # code that was seen to change what it reads


def enter(dynamics: Dynamics, y0: Tensor, t: Tensor, *, products: bool, jacobian: bool, home: Home) -> Lane:
    """The lane for dynamics: translated now, or before.

    Args:
        dynamics: with the value of the right-hand side at the start in ``start``, or familiar.
        y0: the flat state at the start.
        t: times, of which the first belongs to the start.
        products: whether vector-Jacobian products are wanted too.
        jacobian: whether a Jacobian is wanted; it may be missing all the same.
        home: the Julia that compiles them.

    Raises:
        UntranslatableError: the dynamics must stay with the callbacks; says why.
    """
    began = time.perf_counter()
    known = dynamics.familiar
    found = known.reach if known is not None else reach(dynamics.func)
    translation = known.translation_of(home.translations) if known is not None else None
    if translation is None:
        if known is not None and dynamics.start is None:  # it is to another Julia that they are familiar
            dynamics.start = dynamics.tried(t[0].item(), y0).detach()
        translation = _translation(dynamics, found, home)
    if translation.refusal is not None:
        raise UntranslatableError(translation.refusal)
    names = ["rhs"]
    if products:
        names += ["joint", "vjp", "vjp_p"] if dynamics.parameters else ["vjp"]
    if dynamics.start is None and translation.has_all(names, jacobian=jacobian):
        return Lane(translation, dynamics, found.tensors, 0.0, home)
    before = len(translation.addresses)
    start = Start(dynamics, y0, t[0].item(), t[-1].item())
    try:
        translation.add(names, start, found.tensors, home)
        if len(translation.addresses) > before and reach(dynamics.func).key != found.key:
            _changing.add(_code(dynamics.func))
            raise UntranslatableError(CHANGING)
        if jacobian:
            _add_jacobian(translation, start, found.tensors, home)
        seconds = time.perf_counter() - began if len(translation.addresses) > before else 0.0
        lane = Lane(translation, dynamics, found.tensors, seconds, home)
        lane.check(start)
    except RefusedHereError:
        raise  # another start may do
    except UntranslatableError as refusal:
        translation.refusal = str(refusal)
        familiar.forget(dynamics, found, home.translations)
        raise
    familiar.remember(dynamics, found, translation, home.translations)
    return lane


def _code(func: Any) -> Any:
    return func.source if is_written(func) else getattr(func, "__code__", type(func))


def _translation(dynamics: Dynamics, found: Reach, home: Home) -> Translation:
    """That of all dynamics that would be traced to the same graphs."""
    _check(dynamics)
    places = _places(dynamics.parameters, found)
    key = (found.key, dynamics.structure, dynamics.sign, places, torch.get_default_dtype())
    shapes = dynamics.structure, tuple(tensor.shape for tensor in found.tensors)
    return home.translations.of(key, _code(dynamics.func), shapes)


def _check(dynamics: Dynamics) -> None:
    structure = dynamics.structure
    if structure.is_complex:
        raise UntranslatableError("its state is complex")
    if dynamics.start is None and not is_written(dynamics.func):
        raise UntranslatableError("it was not evaluated at the start")


def _places(parameters: Sequence[Tensor], found: Reach) -> tuple[int, ...]:
    """Where each parameter is among the tensors that ``func`` reaches."""
    places = found.places(parameters)
    if places is None:
        raise UntranslatableError(
            "a parameter is not among what func reaches by its attributes, its closure or global variables"
        )
    if places and not found.computed.issubset(places):
        raise UntranslatableError(
            "func reaches a tensor that was computed from others that require a gradient, and is no parameter itself"
        )
    return places


def _add_jacobian(translation: Translation, start: Start, tensors: Sequence[Tensor], home: Home) -> None:
    """Without one, the solver calls Python for it."""
    if "jacobian" in translation.checked:
        return
    try:
        translation.add(["jacobian"], start, tensors, home)
    except UntranslatableError:
        translation.checked.add("jacobian")


class Lane:
    """The compiled functions of dynamics, for one solve and its gradient; keep it alive as long as Julia may call.

    Attributes:
        environment: what the functions take last.
        seconds: that were spent on translating and compiling.
    """

    def __init__(
        self, translation: Translation, dynamics: Dynamics, tensors: Sequence[Tensor], seconds: float, home: Home
    ) -> None:
        self._home = home
        self._translation = translation
        self._dynamics = dynamics
        self.seconds = seconds
        # What they were computed from is not to live as long.
        self._outside = [tensor if tensor.is_leaf else tensor.detach() for tensor in tensors]
        self._addresses = dict(translation.addresses)  # those that the environment will do for
        self._read = [*self._outside, *translation.constants]  # kept alive
        self.environment = translation.environment(dynamics, self._read, home)

    def free(self) -> None:
        """Give the environment to the next solve: Julia will not call any more."""
        self._translation.give_back(self.environment)

    def address(self, name: str) -> int | None:
        """Of a C function, or None where there is none."""
        return self._addresses.get(name)

    def place(self, first: Tensor) -> int:
        """Where in the environment the address of a tensor stands, counted from 1.

        Raises UntranslatableError where the dynamics do not use it.
        """
        for place, tensor in enumerate(self._outside, TENSORS):
            if tensor is first:
                return place
        raise UntranslatableError("func does not use a tensor of params")

    def compute_jointly(self, joint: bool) -> None:
        """Whether both vector-Jacobian products are to be computed at once, if there is a function for it."""
        self.environment.compute_jointly(joint and "joint" in self._addresses)

    def count(self) -> None:
        """Add the calls since the last time to the counts of the dynamics."""
        nfe, nvjp, njac = self.environment.take_counts()
        dynamics = self._dynamics
        dynamics.nfe += nfe
        dynamics.nvjp += nvjp
        dynamics.njac += njac

    def check(self, start: Start) -> None:
        """Compare with torch: the right-hand side wherever it is not known to be the same, the rest once.

        Raises UntranslatableError where they differ.
        """
        checked = self._translation.checked
        unchecked = self._addresses.keys() - checked
        if self._dynamics.start is not None:
            compare("rhs", self._evaluated, start)
        for name in sorted(unchecked - {"rhs"}):
            self.compute_jointly(name == "joint")
            for part in ("vjp", "vjp_p") if name == "joint" else (name,):
                compare(part, self._evaluated, start)
        self.compute_jointly(False)
        checked |= unchecked
        self.environment.forget_counts()

    def _evaluated(self, name: str, out: Tensor, vectors: Sequence[Tensor], s: float) -> None:
        self._home.evaluate(self._addresses[name], out, vectors, s, self.environment)

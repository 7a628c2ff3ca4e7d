"""What a translation depends on is in its key; what may change from solve to solve is not."""

import collections
import functools
import math
import random

import numpy as np
import pytest
import torch

import pyode_bridge as pb
from pyode_bridge.compiled.capture.guards import guards_of
from pyode_bridge.compiled.errors import UnsupportedDynamicsError
from pyode_bridge.models import ODERNNEncoder

RATE = 2.0
WEIGHT = torch.ones(2)


class Settings:
    rate = 2.0


def by_global(t, y):
    return RATE * y


def by_helper(t, y):
    return by_global(t, y) * math.pi


def by_class(t, y):
    return Settings.rate * y


def by_tensor(t, y):
    return WEIGHT * y


class Scaled(torch.nn.Module):
    def __init__(self, scale=1.0):
        super().__init__()
        self.net = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.Tanh(), torch.nn.Linear(3, 2))
        self.scale = scale

    def forward(self, t, y):
        return self.scaled(self.net(y))

    def scaled(self, value):
        return self.scale * value * RATE


class Plain:
    def __init__(self, rate):
        self.rate = rate
        self.matrix = torch.eye(2)

    def __call__(self, t, y):
        return self.rate * (self.matrix @ y)


def test_the_same_function_has_the_same_key_and_tensors():
    module = Scaled()
    first, second = guards_of(module), guards_of(module)
    assert first.key == second.key
    assert hash(first.key) == hash(second.key)
    assert {id(tensor) for tensor in first.tensors} == {id(parameter) for parameter in module.parameters()}


def test_another_module_of_the_same_shape_has_the_same_key():
    assert guards_of(Scaled()).key == guards_of(Scaled()).key


def test_new_values_of_tensors_leave_the_key():
    module = Scaled()
    before = guards_of(module).key
    with torch.no_grad():
        for parameter in module.parameters():
            parameter += 1
    assert guards_of(module).key == before


@pytest.mark.parametrize("function", [by_global, by_helper])
def test_a_global_number_is_in_the_key(monkeypatch, function):
    before = guards_of(function).key
    monkeypatch.setitem(globals(), "RATE", 3.0)
    assert guards_of(function).key != before


class OfLayers(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = torch.nn.Linear(2, 2), 2.0

    def forward(self, t, y):
        def inner():
            return self.b * y

        return self.a(inner())


@pytest.mark.parametrize("name", ["a", "b"])
def test_a_global_of_the_name_of_an_attribute_is_not_in_the_key(monkeypatch, name):
    module = OfLayers()
    before = guards_of(module).key
    monkeypatch.setitem(globals(), name, 0.125)
    assert guards_of(module).key == before


def by_body_of_a_class(t, y):
    class Of:
        rate = RATE

    return Of.rate * y


def test_a_global_read_in_the_body_of_an_inner_class_is_in_the_key(monkeypatch):
    before = guards_of(by_body_of_a_class).key
    monkeypatch.setitem(globals(), "RATE", 3.0)
    assert guards_of(by_body_of_a_class).key != before


def test_attributes_of_classes_are_in_the_key(monkeypatch):
    before = guards_of(by_class).key
    monkeypatch.setattr(Settings, "rate", 3.0)
    assert guards_of(by_class).key != before


def test_attributes_of_modules_and_what_their_methods_use_are_in_the_key(monkeypatch):
    module = Scaled()
    before = guards_of(module).key
    module.scale = 2.0
    changed = guards_of(module).key
    assert changed != before
    monkeypatch.setitem(globals(), "RATE", 3.0)
    assert guards_of(module).key != changed


def test_modes_and_hooks_of_modules_are_in_the_key():
    module = Scaled()
    before = guards_of(module).key
    module.net.eval()
    evaluating = guards_of(module).key
    assert evaluating != before
    module.net[1].register_forward_hook(lambda module, inputs, output: 2 * output)
    assert guards_of(module).key != evaluating


def test_closures_defaults_and_partials():
    def make(rate):
        return lambda t, y, shift=0.0: rate * y + shift

    assert guards_of(make(1.0)).key == guards_of(make(1.0)).key
    assert guards_of(make(1.0)).key != guards_of(make(1)).key
    assert (
        guards_of(functools.partial(make(1.0), shift=1.0)).key != guards_of(functools.partial(make(1.0), shift=2.0)).key
    )


def test_attributes_of_plain_objects_and_bound_methods():
    first, second = Plain(1.0), Plain(2.0)
    assert guards_of(first).key != guards_of(second).key
    assert guards_of(first.__call__).key != guards_of(second.__call__).key
    assert guards_of(first).tensors[0] is first.matrix


def test_global_tensors_are_found():
    assert guards_of(by_tensor).tensors == (WEIGHT,)


def test_shapes_are_in_the_key_and_tied_tensors_are_told_from_equal_ones():
    a, b = torch.ones(2), torch.ones(2)
    assert guards_of(lambda t, y: a + a).key != guards_of(lambda t, y: a + b).key

    def closed(x, z):
        return lambda t, y: x + z

    assert guards_of(closed(a, a)).key != guards_of(closed(a, b)).key
    assert guards_of(closed(a, b)).key != guards_of(closed(torch.ones(3), b)).key


def test_whole_numbers_are_in_the_key_by_value():
    def closed(index):
        return lambda t, y: y[index]

    assert guards_of(closed(torch.tensor([0, 1]))).key == guards_of(closed(torch.tensor([0, 1]))).key
    assert guards_of(closed(torch.tensor([0, 1]))).key != guards_of(closed(torch.tensor([1, 0]))).key
    assert guards_of(closed(np.array([0, 1]))).key != guards_of(closed(np.array([1, 0]))).key


def test_a_large_array_is_refused():
    large = np.zeros(10_000)
    with pytest.raises(UnsupportedDynamicsError, match="NumPy array of 10000 elements"):
        guards_of(lambda t, y: y * torch.as_tensor(large).sum())


def test_functions_of_the_package_are_followed_into_their_closures_alone():
    encoder = ODERNNEncoder(2, engine="embedded")
    assert len(guards_of(pb.odeint).key) < 100  # and not all that the package holds
    assert {id(tensor) for tensor in guards_of(encoder).tensors} == {
        id(parameter) for parameter in encoder.parameters()
    }


def test_variables_and_methods_of_a_class_are_in_the_key(monkeypatch):
    class Own(Scaled):
        factor = 2.0

        def forward(self, t, y):
            return self.factor * y

    module = Own()
    before = guards_of(module).key
    monkeypatch.setattr(Own, "factor", 3.0)
    changed = guards_of(module).key
    assert changed != before
    monkeypatch.setattr(Own, "forward", lambda self, t, y: y)
    assert guards_of(module).key != changed


SOURCE = random.Random(0)


def by_random_numbers(t, y):
    return SOURCE.random() * y


def by_import(t, y):
    from tests.compiled.capture import test_guards

    return test_guards.RATE * y


def by_computed_name(t, y):
    return getattr(Settings, "ra" + "te") * y


class Slotted:
    __slots__ = ("rate",)

    def __init__(self):
        self.rate = 2.0


class OfSlotted(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.held = Slotted()

    def forward(self, t, y):
        return self.held.rate * y


def of_class_in_a_closure(kind):
    return lambda t, y: kind.rate * y


@pytest.mark.parametrize(
    "func",
    [
        by_random_numbers,
        by_class,
        by_import,
        by_computed_name,
        OfSlotted(),
        of_class_in_a_closure(Settings),
        functools.partial(by_global, collections.deque([1.0])),
        lambda t, y, seen=collections.defaultdict(int): y,
    ],
)
def test_what_may_change_unseen_is_not_whole(func):
    assert not guards_of(func).exhaustive


@pytest.mark.parametrize(
    "func", [Scaled(), Plain(1.0), by_helper, by_tensor, torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.GELU())]
)
def test_what_is_seen_entirely_is_whole(func):
    assert guards_of(func).exhaustive


def test_a_tensor_of_which_a_method_is_taken_is_found():
    weight = torch.ones(2)
    assert guards_of(functools.partial(lambda scaled, t, y: scaled(y), weight.mul)).tensors == (weight,)


def test_complex_tensors_are_handed_over_and_their_conjugates_are_part_of_the_key():
    def closed(weight):
        return lambda t, y: weight * y

    weight = torch.tensor([1 + 2j, 3j], requires_grad=True)
    found = guards_of(closed(weight))
    assert found.tensors == (weight,)
    assert found.key == guards_of(closed(2 * weight.detach())).key
    conjugate, other = (guards_of(closed(one.conj())) for one in (weight.detach(), 2 * weight.detach()))
    assert conjugate.tensors == ()  # its numbers do not lie in memory
    assert len({found.key, conjugate.key, other.key}) == 3


def test_places_of_tensors_that_were_computed():
    leaf = torch.ones(2, requires_grad=True)
    computed = 2 * leaf
    assert guards_of(functools.partial(lambda a, b, t, y: a + b, leaf, computed)).computed == {1}


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: torch.eye(2, dtype=torch.long).to_sparse(), "int64 whose numbers cannot be read"),
        (lambda: list(map(float, range(30_000))), "more than 20000 objects"),
        (lambda: functools.reduce(lambda held, _: [held], range(5_000), []), "too many levels"),
    ],
)
def test_what_cannot_be_told_is_refused(make, reason):
    held = make()
    with pytest.raises(UnsupportedDynamicsError, match=reason):
        guards_of(lambda t, y: (held, y)[1])


def of_torch_compile(module):
    return torch.compile(module, backend="eager")


def compiled_itself(module):
    module.compile(backend="eager")
    return module


def function_of_torch_compile(module):
    return torch.compile(lambda t, y: module(t, y), backend="eager")


@pytest.mark.parametrize("make", [of_torch_compile, compiled_itself, function_of_torch_compile])
def test_what_torch_compile_makes_reaches_what_it_was_made_of(make):
    module = Scaled()
    func = make(module)
    before = guards_of(func)
    assert {id(tensor) for tensor in before.tensors} == {id(parameter) for parameter in module.parameters()}
    assert before.exhaustive
    module.scale = 2.0
    assert guards_of(func).key != before.key


def test_hooks_of_a_compiled_module_are_in_the_key():
    func = of_torch_compile(Scaled())
    before = guards_of(func).key
    func.register_forward_hook(lambda module, inputs, value: 2 * value)
    assert guards_of(func).key != before


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_torchscript_is_refused_since_nobody_sees_what_it_reads():
    module, given = torch.nn.Linear(2, 2), torch.ones(2)
    scripted, followed = torch.jit.script(module), torch.jit.trace(module, given)
    function = torch.jit.trace(torch.sin, given)
    for made in (scripted, followed, function, scripted.forward):
        for func in (made, lambda t, y, made=made: made(y)):
            with pytest.raises(UnsupportedDynamicsError, match="TorchScript"):
                guards_of(func)


def test_what_a_function_decorated_by_a_library_uses_is_in_the_key(monkeypatch):
    func = torch.enable_grad()(by_global)
    before = guards_of(func)
    monkeypatch.setitem(globals(), "RATE", 3.0)
    assert guards_of(func).key != before.key
    assert guards_of(torch.func.vmap(by_tensor)).tensors == (WEIGHT,)


class WithoutTraining(torch.nn.Module):
    """As torch's own that stand for another module do, it has as a property what others have as an attribute."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    training = property(lambda self: self.inner.training, lambda self, value: None)

    def forward(self, t, y):
        return self.inner(y)


def test_a_module_may_lack_attributes_of_others():
    module = WithoutTraining(torch.nn.Linear(2, 2))
    before = guards_of(module)
    assert len(before.tensors) == 2
    module.inner.eval()
    assert guards_of(module).key != before.key


UNUSUAL = {
    "parametrised": lambda: torch.nn.utils.parametrizations.weight_norm(torch.nn.Linear(2, 2)),
    "averaged": lambda: torch.optim.swa_utils.AveragedModel(torch.nn.Linear(2, 2)),
    "graph": lambda: torch.fx.symbolic_trace(torch.nn.Linear(2, 2)),
    "attention": lambda: torch.nn.MultiheadAttention(4, 2),
    "recurrent": lambda: torch.nn.GRU(2, 2),
    "copies": lambda: torch.nn.DataParallel(torch.nn.Linear(2, 2)),
}


@pytest.mark.parametrize("kind", UNUSUAL)
def test_modules_of_unusual_kinds_are_reached(kind):
    module = UNUSUAL[kind]()
    found = {id(tensor) for tensor in guards_of(module).tensors}
    assert found >= {id(parameter) for parameter in module.parameters()}


UNREADABLE = {
    "sparse": lambda: torch.eye(2).to_sparse(),
    "compressed": lambda: torch.eye(2).to_sparse_csr(),
    "without memory": lambda: torch.eye(2, device="meta"),
    "quantised": lambda: torch.quantize_per_tensor(torch.eye(2), 0.1, 0, torch.qint8),
    "of several shapes": lambda: torch.nested.nested_tensor([torch.ones(2), torch.ones(3)]),
    "a conjugate's imaginary part": lambda: torch.eye(2, dtype=torch.complex64).conj().imag,
}


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning")
@pytest.mark.parametrize("kind", UNREADABLE)
def test_tensors_whose_numbers_cannot_be_read_are_refused(kind):
    tensor = UNREADABLE[kind]()
    with pytest.raises(UnsupportedDynamicsError, match="whose numbers cannot be read"):
        guards_of(lambda t, y: tensor * y)


def test_the_values_of_a_conjugate_are_in_the_key():
    weight = torch.tensor([1 + 2j])
    first, second = (guards_of(functools.partial(torch.mul, given)).key for given in (weight, weight.conj()))
    assert first != second

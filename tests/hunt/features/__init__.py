"""What dynamics may do."""

from tests.hunt.features import autograd, changes, layouts, tensors, ways
from tests.hunt.features.registry import FEATURES

__all__ = ["FEATURES", "autograd", "changes", "layouts", "tensors", "ways"]

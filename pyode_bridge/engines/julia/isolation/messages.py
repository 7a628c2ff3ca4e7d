"""What the two processes call the things that they tell each other."""

from __future__ import annotations

# Kinds of answers: a result, an exception, and, while a call is in progress, how far it is.
RETURNED, RAISED, TOLD = "returned", "raised", "told"

# Kinds of arguments that are not sent as they are: what the worker keeps, by number, and its memory, by offset.
OBJECT, MEMORY = "object", "memory"

JULIA, SERVICE = 0, 1  # numbers of the Julia package and of the service

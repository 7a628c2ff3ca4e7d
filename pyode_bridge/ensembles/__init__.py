"""Many solves at once: on Julia's threads, in workers of its own, or in those of an executor."""

"""Time: the recurrences of elman.cells, run fast. See dispatch.py for how a backend is chosen."""

from elman.kernels.dispatch import BACKENDS, use

__all__ = ["BACKENDS", "use"]

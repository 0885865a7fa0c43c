"""How far two results that should be equal may differ, and why; one table for all tests.

The same sums in another order differ by a few units in the last place: 2e-16 in float64, 1e-7 in float32,
times the number of additions and of steps. The laws' cases are small and their values about one, so these
bounds are hundreds of times what rounding does and far below what a wrong step, weight or cut does.
"""

import torch

# ours = torch.nn, outputs and gradients: another implementation, other products fused.
SAME_AS_TORCH = {torch.float64: 1e-10, torch.float32: 1e-5}

# A backend against the loop over plain equations.
SAME_AS_REFERENCE = {torch.float64: 1e-10, torch.float32: 1e-5}

# The same kernel on the same numbers, arranged otherwise: padded, batched, cut, in chunks, mirrored.
SAME_ROW = {torch.float64: 1e-12, torch.float32: 1e-6}

# Gradients summed over a batch are larger and add up in another order; only where values are above one.
SAME_GRADIENT = {torch.float64: 1e-12, torch.float32: 1e-5}

# The C++ kernels against the plain equations in float64, relative to a tensor's largest number or to one.
SAME_AS_KERNELS = {torch.float64: 1e-12, torch.float32: 5e-6}

# The same where tokens are read: the gradient of a token's row is one sum over all steps that read it.
SAME_AS_TABLE = {torch.float64: 1e-12, torch.float32: 1e-5}

"""From gradients to a trained pattern: the loop, its optimisers, and checkpoints that survive anything."""

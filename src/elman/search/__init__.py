"""Ways from scores to a sequence, over any step function and never a model class."""

"""DATA: from a raw file to batches. Nothing here knows a network, and only `batches` needs torch."""

from elman.data.example import Example, Reading
from elman.data.read import READERS, examples_from, read_examples
from elman.data.vocab import Vocab

__all__ = ["READERS", "Example", "Reading", "Vocab", "examples_from", "read_examples"]

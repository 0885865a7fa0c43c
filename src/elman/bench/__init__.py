"""Speed: our layers against torch.nn's on the same batches, as `elman bench` shows it."""

from elman.bench.cases import CELLS, Case, all_cases
from elman.bench.timing import Report, Result, compare

__all__ = ["CELLS", "Case", "Report", "Result", "all_cases", "compare"]

"""Looking inside recurrent networks: gradients through time, spectra, gates, and what the input did."""

from elman.xray.examine import examine

__all__ = ["examine"]

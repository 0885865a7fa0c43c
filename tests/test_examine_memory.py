"""How much memory an examination takes, measured in a process of its own."""

import subprocess
import sys

import pytest

SCRIPT = """
import resource
import torch
from torch import nn
from elman.xray import examine
torch.set_num_threads(1)
layer = nn.LSTM(64, 4096)
examine(layer, torch.randn(20, 4, 64), lambda lstm, x: lstm(x)[0].square().mean())
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the unit of ru_maxrss is known of Linux")
def test_a_layer_of_4096_units_is_examined_in_two_gibibytes_with_torch_and_the_model():
    said = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    assert 2**28 < int(said.stdout) < 2**31  # its weights alone take 2**28

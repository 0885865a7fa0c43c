"""Arguments from Python: NumPy's numbers are as good as Python's, and are kept as those."""

import json

import numpy as np
import pytest
from tiny import mood_rows

import elman

FAST = {"task": "classify", "epochs": 1, "hidden_size": 4, "embedding_size": 4, "threads": 1}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("valid", np.int64(0)),
        ("valid", np.float32(0.25)),
        ("test", np.float16(0.25)),
        ("hidden_size", np.int32(3)),
        ("epochs", np.uint8(1)),
        ("seed", np.uint64(2)),
        ("learning_rate", np.float32(0.5)),
        ("clip_norm", np.int64(1)),
        ("bidirectional", np.bool_(False)),
        ("layer_norm", np.bool_(True)),
        ("cell", np.str_("gru")),
    ],
)
def test_a_number_of_numpys_is_the_number(name, value, tmp_path):
    """Settings and weights are those of the same number in Python."""
    runs = {}
    for key, given in (("numpy", value), ("python", value.item())):
        elman.train(**(FAST | {"train": mood_rows(20), name: given}), out=tmp_path / key)
        settings = json.loads((tmp_path / key / "config.json").read_text())["settings"]
        del settings["out"]
        runs[key] = settings, (tmp_path / key / "model.safetensors").read_bytes()
    assert runs["numpy"] == runs["python"]
    assert runs["numpy"][0][name] == value.item()


def test_a_search_takes_them_too(tmp_path):
    pytest.importorskip("optuna", reason="the extra tune is not installed")
    given = FAST | {"train": mood_rows(20), "valid": np.float64(0.25), "hidden_size": np.int64(4)}
    found = elman.tune(**given, trials=np.int64(2), processes=np.int8(1), out=tmp_path / "out")
    assert len(found.trials) == 2 and found.run.settings.hidden_size == 4

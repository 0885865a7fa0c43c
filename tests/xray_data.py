"""X-rays of small untrained networks, with made-up diagnoses, records and tokens around them."""

import torch
from torch import nn

from elman.xray import examine
from elman.xray.diagnosis import Diagnosis
from elman.xray.examine import Examination
from elman.xray.run_xray import RunXray


def make_examination(
    kind=nn.LSTM, *, hidden=12, steps=30, rows=5, layers=1, two=False, seed=0
) -> Examination:
    """Look through a fresh network that reads noise, each row of its own length."""
    torch.manual_seed(seed)
    model = kind(3, hidden, num_layers=layers, bidirectional=two, batch_first=True)
    x = torch.randn(rows, steps, 3)
    lengths = torch.linspace(steps, max(steps // 2, 1), rows).long()

    def loss(network, batch):
        packed = nn.utils.rnn.pack_padded_sequence(batch, lengths, batch_first=True)
        return network(packed)[1 if kind is not nn.LSTM else 0][0].square().mean()

    return examine(model, x, loss)


def make_records(text: str = "", count: int = 12, layers: int = 2) -> list[dict]:
    """Return records of a training in which the gradient fades."""
    return [
        {
            "step": 100 * (number + 1),
            "loss": 2.0 / (number + 1),
            "gradient_norm": 1.0,
            "layers": [
                {
                    "name": text + "encoder.rnn",
                    "layer": layer,
                    "direction": 0,
                    "index": 0,
                    "steps_from_end": list(range(40)),
                    "gradient_norms": [0.5 * (0.9 - 0.02 * number) ** step for step in range(40)],
                    "gates": {
                        text + "forget_gate": {"mean": 0.5 + 0.03 * number, "saturated": 0.02 * number},
                        "input_gate": {"mean": 0.5, "saturated": 0.1},
                    },
                    "spectral_radius": 0.6 + 0.02 * number,
                    "horizon": 10 + number if number > 3 else None,
                }
                for layer in range(layers)
            ],
            "parameters": {},
        }
        for number in range(count)
    ]


def make_xray(text: str = "", examination: Examination | None = None, records: int = 12) -> RunXray:
    """Return the X-ray of a run with something in every part.

    Args:
        text: put before every string of a user's.
        examination: None: of a small LSTM.
    """
    found = examination or make_examination()
    parameters = [type(one)(text + one.name, *list(vars(one).values())[1:]) for one in found.parameters]
    layers = [
        type(flow)(
            **{**{name: getattr(flow, name) for name in flow.__dataclass_fields__}, "name": text + flow.name}
        )
        for flow in found.layers
    ]
    found = Examination(found.loss, layers, parameters, [text + "layer 'unused' is never called"])
    words = ["the", "film", "was", "not", "as", "bad", "as", "they", "said", "."]
    saliency = [0.1, 0.7, 0.05, -1.3, 0.1, 0.9, 0.02, 0.1, 0.2, 0.0]
    weights = torch.softmax(torch.eye(8, 10) * 3, -1).tolist()
    diagnoses = [
        Diagnosis("vanishing", text + "layer 0", text + "1e-9 of the gradient is left after 30 steps",
                  "Nothing can be learned from what lies further back.",
                  text + "--cell lstm --init chrono --memory-steps 200", 0.9),
        Diagnosis("saturated gates", None, "31 % of the forget gate", text + "No gradient.", "--init x", 0.3),
    ]  # fmt: skip
    return RunXray(
        text + "poet",
        found,
        diagnoses,
        tokens=[[text + word for word in words], words],
        saliency=[saliency, saliency[::-1]],
        attention=[weights, weights],
        records=make_records(text, records),
        loss_curve=[(step, 2.0 / (1 + step / 100)) for step in range(0, 1300, 10)],
        data=text + "5 rows of dev.jsonl",
    )

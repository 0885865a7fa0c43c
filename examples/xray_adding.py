"""An Elman network beside an LSTM on the adding problem: why the one cannot learn it, as two pictures.

    python examples/xray_adding.py

Each row holds 100 numbers, two of them marked; the network says their sum. After a short training both are
looked through. Written are xray_gradients.svg, xray_influence.svg and a page with all figures, compared.html.
The pictures of docs/xray_page.md were made by it.

Source: Hochreiter and Schmidhuber 1997, Long short-term memory, section 5.4 (the adding problem).
"""

from pathlib import Path

import torch
from torch import nn

from elman.nn import LSTM, RNN
from elman.nn.initialise import draw_chrono
from elman.report.xray_compare import comparison, write_comparison
from elman.report.xray_svg import curves_svg
from elman.xray import examine
from elman.xray.diagnose import diagnose
from elman.xray.run_xray import RunXray

STEPS, ROWS, HIDDEN_SIZE, UPDATES = 100, 32, 32, 100


class Adder(nn.Module):
    """A recurrent layer and a number said at its last step."""

    def __init__(self, recurrent: RNN | LSTM) -> None:
        super().__init__()
        self.recurrent = recurrent
        self.output = nn.Linear(HIDDEN_SIZE, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return one number a row."""
        said, _ = self.recurrent(x)
        sums: torch.Tensor = self.output(said[:, -1])[:, 0]
        return sums


def draw_batch() -> tuple[torch.Tensor, torch.Tensor]:
    """Return numbers and marks [rows, steps, 2], one mark in each half, and their sums."""
    numbers, marks = torch.rand(ROWS, STEPS), torch.zeros(ROWS, STEPS)
    for start in (0, STEPS // 2):
        marks[torch.arange(ROWS), torch.randint(start, start + STEPS // 2, (ROWS,))] = 1
    return torch.stack([numbers, marks], 2), (numbers * marks).sum(1)


def loss_of(model: nn.Module, batch: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
    """Return the mean squared error."""
    return nn.functional.mse_loss(model(batch[0]), batch[1])


def look_through(name: str, recurrent: RNN | LSTM) -> RunXray:
    """Train a little, and return what is seen inside."""
    model = Adder(recurrent)
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    curve = []
    for update in range(1, UPDATES + 1):
        loss = loss_of(model, draw_batch())
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        curve.append((update, loss.item()))
    found = examine(model, draw_batch(), loss_of)
    return RunXray(name, found, diagnose(found), loss_curve=curve, data=f"{ROWS} rows of {STEPS} steps")


def main() -> None:
    """Look through both, and write what is seen."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
    long = LSTM(2, HIDDEN_SIZE, batch_first=True)
    draw_chrono(long, STEPS)
    networks: dict[str, RNN | LSTM] = {"RNN": RNN(2, HIDDEN_SIZE, batch_first=True), "LSTM, chrono": long}
    xrays = [look_through(name, network) for name, network in networks.items()]
    for xray in xrays:
        (flow,) = xray.examination.layers
        norms = flow.mean_gradient_norms["hidden"]
        print(
            f"{xray.run_name}: {norms[0] / norms[-1]:.1e} of the gradient reaches the first step; memory "
            f"horizon {flow.memory_horizon}; {', '.join(one.name for one in xray.diagnoses) or 'healthy'}"
        )
    for name, title in (("gradients", "Gradient by step"), ("influence", "Influence by lag")):
        picture = curves_svg(comparison(xrays, name), f"{title}: adding problem, {STEPS} steps")
        Path(f"xray_{name}.svg").write_text(picture, encoding="utf-8")
    write_comparison(xrays, "compared.html")
    print("xray_gradients.svg xray_influence.svg compared.html")


if __name__ == "__main__":
    main()

"""The X-ray of a torch.nn model that knows nothing of elman: what it remembers, what ails it, and a page.

    python examples/xray_plain_torch.py

The model is written as tutorials write it, and it is left as it was: its weights, gradients, mode and random
state. The page, xray.html, stands alone in the current folder; open it in a browser.
"""

import torch
from torch import nn

from elman.report.xray import write_page
from elman.xray import examine
from elman.xray.diagnose import diagnose
from elman.xray.run_xray import RunXray


class SentimentClassifier(nn.Module):
    """An embedding, an LSTM and a linear layer on its last state."""

    def __init__(self, vocabulary: int = 100, hidden_size: int = 24) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, 16)
        self.lstm = nn.LSTM(16, hidden_size, batch_first=True)
        self.output = nn.Linear(hidden_size, 2)

    def forward(self, tokens: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """Return two logits a row."""
        vectors = self.embedding(tokens)
        packed = nn.utils.rnn.pack_padded_sequence(vectors, lengths, batch_first=True, enforce_sorted=False)
        _, (hidden, _) = self.lstm(packed)
        logits: torch.Tensor = self.output(hidden[-1])
        return logits


def loss_of(model: nn.Module, batch: tuple[torch.Tensor, ...]) -> torch.Tensor:
    """Return the loss of a batch: whatever the model needs, X-rays need no more."""
    tokens, lengths, target = batch
    return nn.functional.cross_entropy(model(tokens, lengths), target)


def main() -> None:
    """Look through a fresh model, and print what is found."""
    torch.manual_seed(0)
    model = SentimentClassifier()
    lengths = torch.tensor([60, 48, 40, 31])
    batch = (torch.randint(100, (4, 60)), lengths, torch.tensor([0, 1, 1, 0]))
    found = examine(model, batch, loss_of)
    diagnoses = diagnose(found)
    for flow in found.layers:
        norms = flow.mean_gradient_norms["hidden"]
        print(
            f"{flow.name}: |dL/dh| {norms[0]:.2g} at the first step, {norms[-1]:.2g} at the last; "
            f"memory horizon {flow.memory_horizon} steps"
        )
    for one in diagnoses:
        print(f"{one.name}: {one.evidence}. Flags that mend it: {one.remedy or 'none'}")
    write_page(RunXray("a torch.nn classifier", found, diagnoses, data="4 drawn rows"), "xray.html")
    print("xray.html")


if __name__ == "__main__":
    main()

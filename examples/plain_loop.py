"""The layers in a training loop of one's own: nothing else of elman is needed.

    python examples/plain_loop.py

The task: remember whether the first step was positive, whatever follows. Rows have unequal lengths, and no
packing, sorting or masking is written: `lengths=` says where each row ends, and the final state is the one
there.
"""

import torch
from torch import nn

from elman.nn import GRU


class FirstSign(nn.Module):
    """A recurrent network with one yes-or-no output.

    Args:
        hidden_size: units of the GRU.
    """

    def __init__(self, hidden_size: int = 32) -> None:
        super().__init__()
        self.recurrent = GRU(1, hidden_size, batch_first=True)
        self.output = nn.Linear(hidden_size, 1)

    def forward(self, x: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """Return one logit a row, from the state at the row's own end."""
        _, final = self.recurrent(x, lengths=lengths)
        logits: torch.Tensor = self.output(final[-1])[:, 0]
        return logits


def main() -> None:
    """Train for 300 steps and print the accuracy on rows that were not seen."""
    torch.manual_seed(0)
    model = FirstSign()
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    for step in range(301):
        x = torch.randn(64, 20, 1)
        lengths = torch.randint(1, 21, (64,))
        target = (x[:, 0, 0] > 0).float()
        logits = model(x, lengths)
        loss = nn.functional.binary_cross_entropy_with_logits(logits, target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % 100 == 0:
            accuracy = ((logits > 0) == (target > 0)).float().mean()
            print(f"step {step}: loss {loss.item():.3f}, accuracy {accuracy.item():.2f}")


if __name__ == "__main__":
    main()

"""One long recording of many sessions: chunks carry the state, `reset=` forgets between sessions.

    python examples/long_stream.py

Reading a row in chunks gives what reading it whole gives, and a cut gives what two separate rows give: both
are laws of the layers, shown here in numbers.
"""

import torch

from elman.nn import LSTM


def main() -> None:
    """Print the largest differences; all are rounding."""
    torch.manual_seed(0)
    layer = LSTM(4, 8, batch_first=True).double()
    stream = torch.randn(1, 1000, 4, dtype=torch.float64)

    with torch.no_grad():
        whole, _ = layer(stream)

        state, pieces = None, []
        for chunk in stream.split(64, dim=1):
            out, state = layer(chunk, state)
            pieces.append(out)
        print(f"chunks against the whole: {(torch.cat(pieces, dim=1) - whole).abs().max():.1e}")

        reset = torch.zeros(1, 1000, dtype=torch.bool)
        reset[0, 600] = True
        cut, _ = layer(stream, reset=reset)
        second, _ = layer(stream[:, 600:])
        print(f"after a cut against a row of its own: {(cut[:, 600:] - second).abs().max():.1e}")
        print(f"before the cut nothing has changed: {(cut[:, :600] - whole[:, :600]).abs().max():.1e}")


if __name__ == "__main__":
    main()

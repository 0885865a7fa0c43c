"""Recurrent layers once more, as a plain loop over rows, for the tests: independent of cells and kernels."""

import torch


def step(kind, x, state, weights):
    """Take one step of one row; the state is a tuple of vectors."""
    w_ih, w_hh, b_ih, b_hh, *projection = weights
    h = state[0]
    if kind in ("tanh", "relu"):
        return (getattr(torch, kind)(w_ih @ x + b_ih + w_hh @ h + b_hh),)
    i = (w_ih @ x + b_ih).split(state[-1].numel())
    r = (w_hh @ h + b_hh).split(state[-1].numel())
    if kind == "gru":
        reset, update = torch.sigmoid(i[0] + r[0]), torch.sigmoid(i[1] + r[1])
        new = torch.tanh(i[2] + reset * r[2])
        return (new + update * (h - new),)
    c = torch.sigmoid(i[1] + r[1]) * state[1] + torch.sigmoid(i[0] + r[0]) * torch.tanh(i[2] + r[2])
    h = torch.sigmoid(i[3] + r[3]) * torch.tanh(c)
    return (projection[0] @ h if projection else h), c.clone()  # a node of its own for what is handed on


def run(layer, kind, row, states):
    """Run a whole layer over one row [t, I]; note every state under (layer, direction) in `states`."""
    names = layer._flat_weights_names
    count = len(names) // (layer.num_layers * (2 if layer.bidirectional else 1))
    hidden, sizes = layer.hidden_size, (layer.proj_size or layer.hidden_size, layer.hidden_size)
    place = 0
    for level in range(layer.num_layers):
        outputs = []
        for direction in range(2 if layer.bidirectional else 1):
            weights = [getattr(layer, name) for name in names[place : place + count]]
            place += count
            state = tuple(row.new_zeros(size) for size in (sizes if kind == "lstm" else (hidden,)))
            found = []
            for x in row.flip(0) if direction else row:
                state = step(kind, x, state, weights)
                for part in state:
                    part.retain_grad()
                found.append(state)
            found = found[::-1] if direction else found
            states[level, direction] = found
            outputs.append(torch.stack([state[0] for state in found]))
        row = torch.cat(outputs, 1)
    return row

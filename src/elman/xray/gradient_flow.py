"""GRADIENT FLOW: the gradient that reaches every state, through time and through the layers above.

Shape legend: B batch, T time, G gates x hidden, H hidden, L layers, D directions.

    dL/ds_t = (what the loss and the layer above say of s_t) + J_(t+1)^T dL/ds_(t+1),    J_t = ds_t / ds_(t-1)

Source: Werbos 1990, Backpropagation through time; Pascanu, Mikolov and Bengio 2013, eq. 3-5.
"""

from __future__ import annotations

import torch
from torch import Tensor

from elman.cells import State
from elman.xray.finite import norms as measured
from elman.xray.linearised import Linearised
from elman.xray.passes import Pass
from elman.xray.scan import Scan, gradient_of_input, turn

AT_ONCE = 2**22
"""Numbers of one tensor of gates' gradients that are held together."""


def total_gradients(linear: Linearised, seeds: State, goes_on: Tensor) -> State:
    """Return dL/ds_t for every step, each part [T, B, size].

    Of the LSTM's pair (h, c) each is differentiated with the other held, as a step hands them on: what
    reaches c_t through h_t = o * tanh(c_t) counts for h_t.

    Args:
        linear: the steps' derivatives.
        seeds: the gradient by the state that does not come through the next step, each part [T, B, size].
        goes_on [T, B]: True where the next step's gradient comes back to this one.

    Example:
        >>> from elman.xray.layer_record import record
        >>> from elman.xray.passes import join
        >>> from elman.xray.linearised import linearise
        >>> from elman.xray.rerun import rerun
        >>> layer = torch.nn.RNN(1, 1)
        >>> calls = record(layer, torch.zeros(3, 1, 1), lambda layer, x: layer(x)[0].sum()).calls
        >>> (one,) = join(calls)
        >>> scan = rerun(one, torch.float64)[0][0][0]
        >>> seeds, goes_on = seeds_of(one, 0, 0, scan, one.output_gradient.double())
        >>> total_gradients(linearise(scan), seeds, goes_on)[0].shape
        torch.Size([3, 1, 1])
    """
    totals = tuple(seed.clone() for seed in seeds)
    for t in range(len(goes_on) - 2, -1, -1):
        after = tuple(part[t + 1].unsqueeze(1) for part in totals)
        back = linear.pull(t + 1, after)
        for part, more in zip(totals, back, strict=True):
            part[t] += torch.where(goes_on[t, :, None], more.squeeze(1), 0.0)
    return totals


def seeds_of(one: Pass, layer: int, direction: int, scan: Scan, from_above: Tensor) -> tuple[State, Tensor]:
    """Return the seeds of a layer in one direction, in its own order of time, and where the gradient goes on.

    Args:
        from_above [T, B, H]: the gradient by this direction's outputs, in the sequence's order of time.
    """
    place = layer * one.num_directions + direction
    real = scan.real.unsqueeze(-1)
    hidden = torch.where(real, from_above, 0.0).to(from_above.dtype)
    parts = [part[place].to(hidden.dtype) for part in one.end_gradients]
    if direction:
        hidden = turn(hidden, one.lengths)
        parts = [turn(part, one.lengths) for part in parts]
    parts[0] = parts[0] + hidden
    later = torch.cat((scan.real[1:], torch.zeros_like(scan.real[:1])))
    # What comes back to the state that a call handed on was seen by autograd, and is among the seeds.
    return tuple(parts), later & ~one.ends.to(later.device)


def gate_gradients(linear: Linearised, scan: Scan, totals: State) -> tuple[Tensor, Tensor]:
    """Return the norm of the gradient by each gate's pre-activation, and the gradient by the input.

    Returns:
        ([gates, T, B], [T, B, I]), in the direction's own order of time; zero in the padding.
    """
    steps, batch = scan.real.shape
    window = max(AT_ONCE // max(batch * scan.weights.weight_hh.size(0), 1), 1)
    norms, inputs = [], []
    for start in range(0, steps, window):
        time = torch.arange(start, min(start + window, steps), device=scan.real.device)
        index = time.repeat_interleave(batch), torch.arange(batch, device=time.device).repeat(len(time))
        after = tuple(part[index].unsqueeze(1) for part in totals)
        pre_TBG = linear.gate_gradient(index, after).squeeze(1).unflatten(0, (len(time), batch))
        pre_TBG = torch.where(scan.real[time].unsqueeze(-1), pre_TBG, 0.0)
        norms.append(measured(pre_TBG.unflatten(-1, (linear.gates, -1))).movedim(-1, 0))
        inputs.append(gradient_of_input(scan.weights, pre_TBG))
    return torch.cat(norms, 1), torch.cat(inputs)

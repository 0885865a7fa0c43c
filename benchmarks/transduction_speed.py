"""TRANSDUCTION SPEED: a training step of the default encoder-decoder beside a plain PyTorch loop's.

The same sizes, batches, loss and optimiser; the plain one packs its rows for nn.LSTM and uses
torch.optim.Adam. Steps take turns in one process, so that whatever else the machine does slows both alike.
"""

import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import clip_grad_norm_
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from elman.config import make_settings
from elman.dataset import read_part
from elman.kernels import use
from elman.patterns.translate import after_start
from elman.tasks.translate import Translate
from elman.training.optim import Optimizer

STEPS, WARM_UP = 60, 5
SEARCHED = 1000


class PlainModel(nn.Module):
    """The same network in torch.nn alone: BiLSTM, bridge, LSTM, Luong's attention."""

    def __init__(self, sources: int, targets: int, embedding: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.source = nn.Embedding(sources, embedding, padding_idx=0)
        self.target = nn.Embedding(targets, embedding, padding_idx=0)
        self.encoder = nn.LSTM(embedding, hidden, batch_first=True, bidirectional=True)
        self.decoder = nn.LSTM(embedding, hidden, batch_first=True)
        self.bridges = nn.ModuleList(nn.Linear(2 * hidden, hidden) for _ in range(2))
        self.keys = nn.Linear(2 * hidden, hidden, bias=False)
        self.combine = nn.Linear(3 * hidden, hidden, bias=False)
        self.output = nn.Linear(hidden, targets)
        self.dropout = nn.Dropout(dropout)

    def forward(self, source: Tensor, lengths: Tensor, target: Tensor) -> Tensor:
        """Return scores [B, U, V]."""
        packed = pack_padded_sequence(
            self.dropout(self.source(source)), lengths, batch_first=True, enforce_sorted=False
        )
        packed_steps, final = self.encoder(packed)
        steps, _ = pad_packed_sequence(packed_steps, batch_first=True)
        states = [
            torch.tanh(bridge(part.transpose(0, 1).flatten(1))).unsqueeze(0)
            for bridge, part in zip(self.bridges, final, strict=True)
        ]
        hidden, _ = self.decoder(self.dropout(self.target(target)), (states[0], states[1]))
        energy = torch.bmm(hidden, self.keys(steps).transpose(1, 2))
        beyond = torch.arange(steps.size(1)) >= lengths.unsqueeze(1)
        weights = energy.masked_fill(beyond.unsqueeze(1), -torch.inf).softmax(2)
        combined = torch.tanh(self.combine(torch.cat((torch.bmm(weights, steps), hidden), 2)))
        scores: Tensor = self.output(self.dropout(combined))
        return scores


def time_in_turns(steps: dict[str, Callable[[Any], None]], batches: list[Any]) -> dict[str, list[float]]:
    """Return the seconds of each batch by each side, one after the other, the first batches left out."""
    times: dict[str, list[float]] = {name: [] for name in steps}
    for count, batch in enumerate(batches):
        for name, step in steps.items() if count % 2 else reversed(steps.items()):
            began = time.perf_counter()
            step(batch)
            if count >= WARM_UP:
                times[name].append(time.perf_counter() - began)
    return times


def median_ratio(slower: list[float], faster: list[float]) -> float:
    """Return the median over batches of how many times as fast one side is."""
    return statistics.median(b / a for a, b in zip(faster, slower, strict=True))


def measure_speed(problem: dict[str, Any], threads: int) -> dict[str, Any]:
    """Return milliseconds a step of both, their ratio, where ours spends its time, and the time of search."""
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    settings = make_settings(problem | {"epochs": 1})
    examples = read_part(settings, problem["train"], kind="text").examples
    task = Translate.prepare(settings, examples, "text")
    chosen, batches = task.chosen, task.batches(examples)
    ours = task.build()
    ours.train()
    plain = PlainModel(
        len(task.inputs.vocab),
        len(task.outputs.vocab),
        chosen.embedding_size or 1,
        chosen.hidden_size or 1,
        chosen.dropout or 0.0,
    ).train()
    optimizer, adam = (
        Optimizer(ours, rule="adam", weight_decay=0.0),
        torch.optim.Adam(plain.parameters(), 1e-3),
    )

    def our_step(batch: Any) -> None:
        ours.loss(batch).backward()
        norm = float(optimizer.gradient_norm())
        if norm > 1.0:
            optimizer.scale_gradients(1.0 / norm)
        optimizer.step(1e-3)
        optimizer.zero_grad()

    def plain_step(batch: Any) -> None:
        tokens, target = batch.features["tokens"], batch.target
        scores = plain(tokens.data, tokens.lengths, after_start(target.data))
        wanted = torch.where(target.mask, target.data, -100)
        loss = functional.cross_entropy(scores.flatten(0, 1), wanted.flatten(), label_smoothing=0.1)
        loss.backward()
        clip_grad_norm_(plain.parameters(), 1.0)
        adam.step()
        adam.zero_grad()

    def our_step_on_torch(batch: Any) -> None:
        with use("torch"):
            our_step(batch)

    times = time_in_turns(
        {"ours": our_step, "ours on torch": our_step_on_torch, "plain": plain_step},
        [batches.batch(rows) for rows in batches.order(0)[: STEPS + WARM_UP]],
    )
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
        for rows in batches.order(0)[:10]:
            our_step(batches.batch(rows))
    print(profile.key_averages().table(sort_by="self_cpu_time_total", row_limit=12), flush=True)
    ours.eval()
    began = time.perf_counter()
    with torch.inference_mode():
        task.predict(ours, examples[:SEARCHED], beam_size=5)
    return {
        "set": "cmudict",
        "kind": f"speed, {threads} threads",
        "ms_ours": round(1000 * statistics.median(times["ours"]), 2),
        "ms_ours_on_torch": round(1000 * statistics.median(times["ours on torch"]), 2),
        "ms_plain": round(1000 * statistics.median(times["plain"]), 2),
        "ratio": round(median_ratio(times["plain"], times["ours"]), 3),
        "ratio_on_torch": round(median_ratio(times["plain"], times["ours on torch"]), 3),
        "seconds_beam_5_of_1000": round(time.perf_counter() - began, 2),
        "threads": threads,
    }

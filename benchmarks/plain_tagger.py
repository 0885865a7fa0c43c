"""THE SAME TAGGER IN PLAIN PYTORCH: what a good user of torch writes by hand, and writes well.

`torch.nn.LSTM` over packed sequences; words and the characters of each distinct word form of a batch; the
same sizes, dropout, unknown-word replacement, optimiser, schedule, clipping, epochs and size of batches as
elman's default recipe; the best epoch by validation accuracy is kept, in memory. Nothing is written to disk
and nothing is shown. Where PyTorch offers a faster way that a good user knows (fused Adam, inference_mode, no
`.item()` in the loop, evaluation in large batches of similar length), it is taken.
"""

import copy
import math
import random
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence, pad_sequence

Sentence = tuple[list[str], list[str]]

EPOCHS, BATCH, POOL = 8, 32, 50
WORD_SIZE, CHARACTER_SIZE, SPELLING_SIZE, HIDDEN, LAYERS = 100, 32, 100, 128, 2
DROPOUT, INPUT_DROPOUT = 0.5, 0.4
UNKNOWN_RATE, RATE, WARMUP, CLIP = 0.25, 2e-3, 50, 5.0
LONGEST_WORD = 64


class Stopwatch:
    """Adds up the seconds of each part of the work."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Count what happens inside as this part."""
        began = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] += time.perf_counter() - began


def read_conllu(path: str) -> list[Sentence]:
    """Return (forms, universal parts of speech) of each sentence."""
    sentences: list[Sentence] = []
    words: list[str] = []
    tags: list[str] = []
    with open(path, encoding="utf-8") as file:
        for line in file:
            if line == "\n":
                if words:
                    sentences.append((words, tags))
                    words, tags = [], []
            elif line[0] != "#":
                columns = line.split("\t")
                if columns[0].isdigit():
                    words.append(columns[1])
                    tags.append(columns[3])
    if words:
        sentences.append((words, tags))
    return sentences


@dataclass
class Encoder:
    """Turns sentences into ids; made from the training sentences.

    Args:
        words, characters, tags: name to id; 0 is padding and 1 is unknown for words and characters.
        counts: how often each word id was seen.
    """

    words: dict[str, int]
    characters: dict[str, int]
    tags: dict[str, int]
    counts: Tensor
    forms: dict[str, int] = field(default_factory=dict)
    spellings: list[Tensor] = field(default_factory=list)

    @classmethod
    def fit(cls, sentences: list[Sentence]) -> "Encoder":
        """Count words, characters and tags."""
        words = Counter(word.lower() for forms, _ in sentences for word in forms)
        characters = Counter(character for forms, _ in sentences for word in forms for character in word)
        tags = Counter(tag for _, names in sentences for tag in names)
        return cls(
            {word: index for index, word in enumerate(words, 2)},
            {character: index for index, character in enumerate(characters, 2)},
            {tag: index for index, tag in enumerate(tags)},
            torch.tensor([0, 0, *words.values()]),
        )

    def form(self, word: str) -> int:
        """Return the row of a word form in the table of spellings, adding it where it is new."""
        if word not in self.forms:
            self.forms[word] = len(self.forms)
            ids = [self.characters.get(character, 1) for character in word[:LONGEST_WORD]]
            self.spellings.append(torch.tensor(ids))
        return self.forms[word]

    def encode(self, sentences: list[Sentence]) -> list[tuple[Tensor, Tensor, Tensor]]:
        """Return (word ids, form rows, tag ids) of each sentence; -1 for a tag that training lacks."""
        return [
            (
                torch.tensor([self.words.get(word.lower(), 1) for word in forms]),
                torch.tensor([self.form(word) for word in forms]),
                torch.tensor([self.tags.get(tag, -1) for tag in tags]),
            )
            for forms, tags in sentences
        ]


@dataclass
class Batch:
    """A padded batch, longest sentence first or not: packing does not mind."""

    words: Tensor
    form_of: Tensor
    spellings: Tensor
    tags: Tensor
    lengths: Tensor


def collate(items: list[tuple[Tensor, Tensor, Tensor]], table: list[Tensor]) -> Batch:
    """Pad a batch; each distinct word form's characters stand in it once."""
    words, forms, tags = zip(*items, strict=True)
    lengths = torch.tensor([len(row) for row in words])
    distinct, inverse = torch.cat(forms).unique(return_inverse=True)
    return Batch(
        pad_sequence(list(words), batch_first=True),
        pad_sequence(list(inverse.split(lengths.tolist())), batch_first=True),
        pad_sequence([table[row] for row in distinct.tolist()], batch_first=True),
        pad_sequence(list(tags), batch_first=True, padding_value=-1),
        lengths,
    )


class Tagger(nn.Module):
    """Word vectors and a convolution over characters, two bidirectional LSTM layers, one score a tag."""

    hiding: Tensor

    def __init__(self, num_words: int, num_characters: int, num_tags: int, counts: Tensor) -> None:
        super().__init__()
        self.words = nn.Embedding(num_words, WORD_SIZE, padding_idx=0)
        self.characters = nn.Embedding(num_characters, CHARACTER_SIZE, padding_idx=0)
        self.filters = nn.ModuleList(
            nn.Conv1d(CHARACTER_SIZE, SPELLING_SIZE // 2, width, padding=width // 2) for width in (3, 5)
        )
        self.lstm = nn.LSTM(
            WORD_SIZE + SPELLING_SIZE, HIDDEN, LAYERS, batch_first=True, bidirectional=True, dropout=DROPOUT
        )
        self.output = nn.Linear(2 * HIDDEN, num_tags)
        self.input_dropout = nn.Dropout(INPUT_DROPOUT)
        self.dropout = nn.Dropout(DROPOUT)
        hiding = UNKNOWN_RATE / (UNKNOWN_RATE + counts.float())
        hiding[:2] = 0
        self.register_buffer("hiding", hiding)
        for name, weight in self.lstm.named_parameters():
            if "weight_hh" in name:
                for gate in weight.data.chunk(4):
                    nn.init.orthogonal_(gate)
            elif "bias" in name:
                nn.init.zeros_(weight)
                if "bias_ih" in name:
                    nn.init.ones_(weight.data.chunk(4)[1])

    def forward(self, batch: Batch) -> Tensor:
        """Return the scores of every tag at every step, [B, T, tags]."""
        ids = batch.words
        if self.training:
            ids = torch.where(torch.rand(ids.shape) < self.hiding[ids], 1, ids)
        characters = self.characters(batch.spellings).transpose(1, 2)
        beyond = (batch.spellings == 0).unsqueeze(1)
        found = torch.cat([layer(characters) for layer in self.filters], 1).masked_fill(beyond, -math.inf)
        summaries = torch.relu(found.amax(2))
        steps = torch.cat([self.words(ids), nn.functional.embedding(batch.form_of, summaries)], 2)
        packed = pack_padded_sequence(
            self.input_dropout(steps), batch.lengths, batch_first=True, enforce_sorted=False
        )
        hidden, _ = pad_packed_sequence(self.lstm(packed)[0], batch_first=True)
        scores: Tensor = self.output(self.dropout(hidden))
        return scores


def make_order(lengths: list[int], epoch: int, seed: int) -> list[list[int]]:
    """Return batches of similar length: shuffled, sorted in pools, batches shuffled."""
    generator = random.Random(1000 * seed + epoch)
    rows = list(range(len(lengths)))
    generator.shuffle(rows)
    batches = []
    for start in range(0, len(rows), BATCH * POOL):
        pool = sorted(rows[start : start + BATCH * POOL], key=lengths.__getitem__)
        batches += [pool[first : first + BATCH] for first in range(0, len(pool), BATCH)]
    generator.shuffle(batches)
    return batches


def evaluate(model: Tagger, data: list[tuple[Tensor, Tensor, Tensor]], table: list[Tensor]) -> float:
    """Return the accuracy by token."""
    model.eval()
    order = sorted(range(len(data)), key=lambda row: len(data[row][0]))
    right = total = 0
    with torch.inference_mode():
        for start in range(0, len(order), 128):
            batch = collate([data[row] for row in order[start : start + 128]], table)
            right += int((model(batch).argmax(2) == batch.tags).sum())
            total += int(batch.lengths.sum())
    return right / total


def train(files: dict[str, str], *, epochs: int, seed: int, adam: str, clock: Stopwatch) -> dict[str, float]:
    """Read, train, keep the best epoch by validation, score on the test file.

    Args:
        files: train, valid and test: paths of .conllu files.
        epochs: passes over the training data.
        seed: of every draw.
        adam: "foreach" or "fused", torch's two fast forms of Adam.
        clock: takes the seconds of each part.
    """
    torch.manual_seed(seed)
    with clock.part("reading"):
        sentences = {part: read_conllu(path) for part, path in files.items()}
    with clock.part("vocabulary, ids"):
        encoder = Encoder.fit(sentences["train"])
        data = {part: encoder.encode(rows) for part, rows in sentences.items()}
    table = encoder.spellings
    model = Tagger(len(encoder.words) + 2, len(encoder.characters) + 2, len(encoder.tags), encoder.counts)
    optimizer = torch.optim.Adam(
        model.parameters(), lr=RATE, foreach=adam == "foreach", fused=adam == "fused"
    )
    lengths = [len(row[0]) for row in data["train"]]
    total = epochs * -(-len(lengths) // BATCH)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer,
        lambda step: (step + 1) / WARMUP if step < WARMUP else 1 - (step - WARMUP) / max(total - WARMUP, 1),
    )
    best, weights = -1.0, copy.deepcopy(model.state_dict())
    for epoch in range(epochs):
        model.train()
        for rows in make_order(lengths, epoch, seed):
            with clock.part("batches"):
                batch = collate([data["train"][row] for row in rows], table)
            with clock.part("forward and backward"):
                optimizer.zero_grad()
                loss = nn.functional.cross_entropy(
                    model(batch).flatten(0, 1), batch.tags.flatten(), ignore_index=-1
                )
                loss.backward()
            with clock.part("optimiser"):
                nn.utils.clip_grad_norm_(model.parameters(), CLIP)
                optimizer.step()
                schedule.step()
        with clock.part("evaluation"):
            accuracy = evaluate(model, data["valid"], table)
        if accuracy > best:
            best, weights = accuracy, copy.deepcopy(model.state_dict())
    model.load_state_dict(weights)
    with clock.part("evaluation"):
        test = evaluate(model, data["test"], table)
    return {"valid": best, "test": test, "parameters": sum(p.numel() for p in model.parameters())}

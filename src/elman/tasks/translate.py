"""TRANSLATE: many-to-many, unaligned. Another sequence for each: a translation, a pronunciation, a reply."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from elman.baselines import Baseline, NearestSource
from elman.config import Settings
from elman.data.batches import Batch, Batches
from elman.data.example import Example
from elman.errors import ConfigError, DataError
from elman.metrics.translation import require_sacrebleu
from elman.nn.decoder import Decoder
from elman.patterns.translate import STOP, EncoderDecoder
from elman.search.beam_search import Hypothesis
from elman.tasks.exposure_bias import exact_by_length, measure_exposure, spread
from elman.tasks.inputs import TokenInputs
from elman.tasks.prediction import Attention, Evaluation, Mistake, Prediction
from elman.tasks.sides import (
    TEXT_CUTS,
    check_pairs,
    choose_side,
    encode_target,
    group_by_source,
    make_sides,
    say_cut,
    score_outputs,
    start_of,
    texts_of,
    with_outputs,
)
from elman.tasks.task import Task, choose, describe_input, inference_batches, with_vectors

RECIPE: dict[str, Any] = {
    "lowercase": False,
    "shared_vocab": False,
    "characters": "none",
    "pairs": False,
    "embedding_size": 128,
    "hidden_size": 256,
    "num_layers": 1,
    "bidirectional": True,
    "attention": "multiplicative",
    "dropout": 0.3,
    "label_smoothing": 0.1,
    "batch_size": 64,
    "learning_rate": 2e-3,
    "decay": "cosine",
    "clip_norm": 1.0,
    "init": "orthogonal",
    "beam_size": 5,
}
"""What is chosen where the user says nothing."""

SMALL_SET, SMALL_STEPS = 20_000, {"batch_size": 32, "learning_rate": 1e-3}
"""Training pairs below which steps are smaller, so that there are more of them: of half as many pairs, each
half as long. Large sets see few passes, in which attention is not found at half the rate."""

RARE_WORDS = 2
"""Words seen fewer times are unknown, in sets that are not small: their vectors would not be learned."""

PENALTY = 0.6
"""Length penalty for text, that of Wu et al. 2016 (0.6 to 0.7); symbols have none."""

MOST_VALIDATED, MOST_VALIDATED_LOSS = 500, 2000
"""Sources written out after each epoch, and pairs whose loss is taken; the last score is of all."""

SHOWN_ATTENTION, MEASURED_EXPOSURE = 6, 500
"""Examples whose attention the report shows, and outputs by which exposure bias is measured."""


class Translate(Task):
    """Another sequence for each: translation, pronunciation, inflection, spelling, answers."""

    name = "translate"
    metric = "token_error_rate"
    inputs: TokenInputs

    def __init__(self, chosen: Settings, inputs: TokenInputs, outputs: TokenInputs) -> None:
        super().__init__(chosen, inputs, outputs.vocab)
        self.outputs = outputs
        names = ["loss", "exact_match", "token_error_rate"]
        if outputs.cut in TEXT_CUTS:
            names += ["word_error_rate", "character_error_rate", "bleu", "chrf"]
        self.metric_names = tuple(names)

    @classmethod
    def prepare(cls, settings: Settings, train: Sequence[Example], kind: str) -> "Translate":
        """Choose what is open, and make the vocabularies of both sides."""
        _refuse_other_settings(settings, train, kind)
        check_pairs(train)
        cuts = {
            "tokens": choose_side(settings.tokens, [example.input for example in train]),
            "target_tokens": choose_side(settings.target_tokens, [example.target for example in train]),
        }
        is_small, is_text = len(train) < SMALL_SET, cuts["target_tokens"] in TEXT_CUTS
        if is_text:
            require_sacrebleu()  # now, not when training is over
        recipe = RECIPE | cuts | {"kind": kind, "length_penalty": PENALTY if is_text else 0.0}
        recipe["min_count"] = RARE_WORDS if "words" in cuts.values() and not is_small else 1
        if is_small:
            recipe |= SMALL_STEPS
        if settings.cell == "lstm":
            recipe["forget_bias"] = 1.0
        chosen = choose(settings, recipe)
        inputs, outputs = make_sides(chosen, train)
        if chosen.max_target_length is None:
            longest = max(len(encode_target(outputs, example)) for example in train)
            chosen = chosen.model_copy(update={"max_target_length": longest})
        task = with_vectors(cls(chosen, inputs, outputs))
        task._refuse_long_targets(train)
        return task

    @classmethod
    def from_json(cls, chosen: Settings, values: dict[str, Any]) -> "Translate":
        """Return the task of a run, from its settings as chosen and what `to_json` gave."""
        return cls(chosen, TokenInputs.from_json(values["inputs"]), TokenInputs.from_json(values["outputs"]))

    def to_json(self) -> dict[str, Any]:
        """Return what `vocab.json` holds."""
        return super().to_json() | {"outputs": self.outputs.to_json()}

    def sizes(self) -> dict[str, int]:
        """Return the number of tokens that each side has."""
        return {"vocabulary": len(self.inputs.vocab), "target_vocabulary": len(self.outputs.vocab)}

    def vector_std(self) -> float:
        """Return the deviation of fresh vectors of the source's tokens."""
        return start_of(self.inputs.vocab)

    def batches(self, examples: Sequence[Example]) -> Batches:
        """Return the sources as ids, with the ids of their targets where there are some."""
        encoded, spellings = self.inputs.encode(examples)
        return self.batched(with_outputs(self.outputs, encoded, examples), spellings)

    def build(self) -> EncoderDecoder:
        """Return a network of the right sizes."""
        chosen, inputs = self.chosen, self.input_layer()
        encoder = self.encoder(inputs.output_size)
        decoder = Decoder(
            len(self.outputs.vocab),
            chosen.embedding_size or 1,
            chosen.hidden_size or 1,
            encoder,
            attention=str(chosen.attention),
            cell=chosen.cell,
            num_layers=chosen.num_layers or 1,
            nonlinearity=chosen.nonlinearity,
            init=str(chosen.init),
            memory_steps=chosen.memory_steps,
            forget_bias=chosen.forget_bias,
            dropout=chosen.dropout or 0.0,
            std=start_of(self.outputs.vocab),
            regularisation=self.regularisation(),
        )
        return EncoderDecoder(
            inputs,
            encoder,
            decoder,
            dropout=chosen.dropout or 0.0,
            label_smoothing=chosen.label_smoothing or 0.0,
        )

    def predict(
        self,
        pattern: EncoderDecoder,
        examples: Sequence[Example],
        *,
        beam_size: int | None = None,
        n_best: int | None = None,
    ) -> list[Prediction]:
        """Return the best output for each example; an empty source has an empty one.

        Args:
            pattern: the network.
            examples: only their sources are looked at.
            beam_size: candidates that are followed; None: as chosen for the run.
            n_best: how many outputs to list; None: the best alone.
        """
        bare = [Example(example.input, None, example.where) for example in examples]
        found = self._search(pattern, bare, width=beam_size, n_best=n_best or 1)
        attention = self._attention(pattern, bare, [rows[0].tokens for rows in found])
        out = []
        for example, rows, seen in zip(bare, found, attention, strict=True):
            listed = [self._listed(row) for row in rows]
            best = listed[0]
            out.append(
                Prediction(
                    example.input,
                    best["prediction"],
                    score=float(rows[0].log_probability),
                    n_best=listed if n_best is not None else None,
                    attention=seen,
                    cut=best.get("cut"),
                )
            )
        return out

    def evaluate(self, pattern: EncoderDecoder, examples: Sequence[Example]) -> Evaluation:
        """Score the network; a source that stands there often is scored once, by its nearest target."""
        check_pairs(examples)
        sources, golds = group_by_source(examples)
        found = [rows[0] for rows in self._search(pattern, sources)]
        texts = [self._text(row) for row in found]
        scores = {"loss": self._loss(pattern, examples)} | self._scores(golds, found, texts)
        right = [text in texts_of(self.outputs, gold) for gold, text in zip(golds, texts, strict=True)]
        lengths = [len(self.inputs.tokens_of(example)) for example in sources]
        mistakes = [
            Mistake(
                describe_input(source),
                texts_of(self.outputs, gold)[0],
                text,
                math.exp(row.log_probability),
                source.where,
            )
            for source, gold, text, row, is_right in zip(sources, golds, texts, found, right, strict=True)
            if not is_right
        ]
        views = self._views(pattern, examples, sources, found)
        scores["exposure_gap"] = views["exposure"]["gap"]
        scores["cut_outputs"] = sum(not row.is_complete for row in found)
        views["cut"] = say_cut(scores["cut_outputs"], len(found), self.chosen.max_target_length or 1)
        if views["cut"]:
            scores["alarms"] = [views["cut"]]
        return Evaluation(
            metrics=scores,
            mistakes=sorted(mistakes, key=lambda mistake: -mistake.probability),
            lengths=lengths,
            views=views | {"by_length": exact_by_length(lengths, right)},
        )

    def validate(self, pattern: EncoderDecoder, examples: Sequence[Example]) -> dict[str, float]:
        """Return the metrics of greedy outputs for some of the sources, and the loss of some of the pairs."""
        check_pairs(examples)
        sources, golds = group_by_source(examples)
        places = spread(len(sources), MOST_VALIDATED)
        found = [rows[0] for rows in self._search(pattern, [sources[place] for place in places], width=1)]
        scores = self._scores([golds[place] for place in places], found, [self._text(row) for row in found])
        scores.pop("bleu_signature", None)
        some = [examples[place] for place in spread(len(examples), MOST_VALIDATED_LOSS)]
        return {"loss": self._loss(pattern, some)} | scores

    def fit_baseline(self, train: Sequence[Example]) -> Baseline:
        """Fit the target of the most similar training source."""
        targets = [self.outputs.tokens_of(Example(example.target)) for example in train]
        return NearestSource.fit([self.inputs.tokens_of(example) for example in train], targets)

    def evaluate_baseline(self, baseline: Baseline, examples: Sequence[Example]) -> dict[str, float]:
        """Return the baseline's scores, under the same names as the network's; it has no loss."""
        sources, golds = group_by_source(examples)
        rows = baseline.predict([self.inputs.tokens_of(example) for example in sources])
        texts = [self.outputs.join(row) for row in rows]
        return score_outputs(self.outputs, golds, [list(row) for row in rows], texts)

    def _scores(
        self, golds: Sequence[Sequence[Example]], found: Sequence[Hypothesis], texts: Sequence[str]
    ) -> dict[str, Any]:
        return score_outputs(self.outputs, golds, [self._tokens(row) for row in found], texts)

    def _loss(self, pattern: EncoderDecoder, examples: Sequence[Example]) -> float:
        """Return the mean loss over all target tokens, without label smoothing."""
        total, count = 0.0, 0
        for batch in inference_batches(self.batches(examples), pattern):
            assert batch.target is not None and not isinstance(batch.target, torch.Tensor)  # of `batches`
            steps = int(batch.target.lengths.sum())
            total += float(pattern.loss(batch)) * steps
            count += steps
        return total / count if count else float("nan")

    def _search(
        self,
        pattern: EncoderDecoder,
        examples: Sequence[Example],
        *,
        width: int | None = None,
        n_best: int = 1,
    ) -> list[list[Hypothesis]]:
        """Return the best hypotheses for each source, the best first."""
        found: list[list[Hypothesis]] = [[] for _ in examples]
        bare = [Example(example.input, None, example.where) for example in examples]
        for batch in self._batches_of(pattern, bare):
            best = pattern.decode(
                batch,
                width=width or self.chosen.beam_size or 1,
                max_length=self.chosen.max_target_length or 1,
                length_penalty=self.chosen.length_penalty or 0.0,
                n_best=n_best,
            )
            for row, length, hypotheses in zip(batch.rows, batch.lengths.tolist(), best, strict=True):
                # Of nothing, nothing is made, surely.
                found[row] = hypotheses if length else [Hypothesis((), 0.0, 0.0, True)]
        return found

    def _batches_of(self, pattern: EncoderDecoder, examples: Sequence[Example]) -> Iterator[Batch]:
        return inference_batches(self.batches(examples), pattern) if examples else iter(())

    def _attention(
        self, pattern: EncoderDecoder, examples: Sequence[Example], outputs: Sequence[Sequence[int]]
    ) -> list[Attention | None]:
        """Return where the decoder looks while it is led through the outputs; None without attention."""
        found: list[Attention | None] = [None for _ in examples]
        if self.chosen.attention == "none":
            return found
        encoded, spellings = self.inputs.encode(examples)
        with_ids = [
            replace(row, output=np.array([*ids, STOP], np.int64))
            for row, ids in zip(encoded, outputs, strict=True)
        ]
        for batch in inference_batches(self.batched(with_ids, spellings), pattern) if examples else ():
            weights = pattern.attention_weights(batch)
            for row, own in zip(batch.rows, weights.unpad(), strict=True):
                source = self.inputs.tokens_of(examples[row])
                target = [self.outputs.vocab.tokens[index] for index in (*outputs[row], STOP)]
                found[row] = Attention(source, target, own[:, : len(source)].double().cpu().numpy())
        return found

    def _views(
        self,
        pattern: EncoderDecoder,
        examples: Sequence[Example],
        sources: Sequence[Example],
        found: Sequence[Hypothesis],
    ) -> dict[str, Any]:
        """Return exposure bias by position, and where the decoder looked in a few examples."""
        some = [examples[place] for place in spread(len(examples), MEASURED_EXPOSURE)]
        gold = [encode_target(self.outputs, example).tolist() for example in some]
        forced: list[list[int]] = [[] for _ in some]
        for batch in self._batches_of(pattern, some):
            for row, scores in zip(batch.rows, pattern.scores(batch).unpad(), strict=True):
                forced[row] = scores.argmax(1).tolist()
        free = [
            [*rows[0].tokens, *[STOP] * rows[0].is_complete] for rows in self._search(pattern, some, width=1)
        ]
        shown = spread(len(sources), SHOWN_ATTENTION)
        looked = self._attention(
            pattern, [sources[place] for place in shown], [found[place].tokens for place in shown]
        )
        return {
            "exposure": measure_exposure(gold, forced, free),
            "attention": [
                {"source": one.source, "target": one.target, "weights": one.weights.tolist()}
                for one in looked
                if one is not None
            ],
        }

    def _listed(self, hypothesis: Hypothesis) -> dict[str, Any]:
        """Return an output as the n best are listed; "cut" stands there where it did not end by itself."""
        listed = {"prediction": self._text(hypothesis), "score": hypothesis.log_probability}
        return listed if hypothesis.is_complete else listed | {"cut": True}

    def _tokens(self, hypothesis: Hypothesis) -> list[str]:
        return [self.outputs.vocab.tokens[index] for index in hypothesis.tokens]

    def _text(self, hypothesis: Hypothesis) -> str:
        return self.outputs.join(self._tokens(hypothesis))

    def _refuse_long_targets(self, train: Sequence[Example]) -> None:
        limit = self.chosen.max_target_length or 1
        lengths = [len(encode_target(self.outputs, example)) for example in train]
        long = [place for place, length in enumerate(lengths) if length > limit]
        if long:
            longest = max(long, key=lambda place: lengths[place])
            raise DataError(
                f"{len(long):,} training targets have more than max_target_length = {limit} tokens, the stop "
                f"token among them (the longest, {train[longest].where}, has {lengths[longest]}); raise "
                "--max-target-length, leave it out, or leave those rows out."
            )


def _refuse_other_settings(settings: Settings, train: Sequence[Example], kind: str) -> None:
    if kind != "text":
        raise DataError(f"{train[0].where}: translate reads tokens, but the input is a series of numbers.")
    draws_once = settings.weight_drop or settings.recurrent_dropout or settings.dropout_kind == "variational"
    if settings.teacher_forcing != "always" and draws_once:
        raise ConfigError(
            "weight_drop, recurrent_dropout and dropout_kind variational keep a mask for a whole sequence, "
            "but scheduled sampling calls the decoder step by step; leave out one or the other."
        )
    for name, of in (
        ("pooling", "classify"),
        ("max_length", "classify"),
        ("crf", "tag"),
        ("pairs", "classify"),
        ("bptt_window", "one direction and one output a step"),
    ):
        if getattr(settings, name):
            raise ConfigError(f"{name} is for {of}, not for --task translate; leave it out.")
    if settings.characters not in (None, "none"):
        raise ConfigError(
            "characters adds spelling to words; translate reads subwords or characters instead."
        )

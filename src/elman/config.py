"""SETTINGS: every flag of `elman train`, its default and its help, in one pydantic model.

The same names are the keys of a TOML file, the arguments of `elman.train` and the parameters of the
estimators. A default of None means that the task's recipe (`tasks/`) decides; what it decided is printed
and stored in the run's `config.json`. This file never imports torch, so `--help` stays quick.
"""

import difflib
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from elman.errors import ConfigError

TaskName = Literal["classify", "tag", "regress", "regress_steps", "forecast", "fill", "generate", "translate"]
CellName = Literal["rnn", "gru", "lstm"]
KindName = Literal["text", "series", "stream"]
TokensName = Literal["words", "characters", "subwords", "spaces"]
NormalFormName = Literal["nfc", "nfd"]
PoolingName = Literal["last", "mean", "max", "attention", "mean+max"]
EmbeddingName = Literal["trainable", "sparse", "frozen", "one-hot"]
CharactersName = Literal["none", "recurrent", "convolution"]
InitialStateName = Literal["zeros", "random", "learned"]
InitName = Literal["torch", "orthogonal", "identity", "chrono"]
DropoutKindName = Literal["each-step", "variational"]
OptimizerName = Literal["adam", "adamw", "sgd", "rmsprop"]
DecayName = Literal["none", "linear", "cosine"]
AttentionName = Literal["additive", "multiplicative", "none"]
TeacherForcingName = Literal["always", "linear", "exponential", "inverse-sigmoid"]
DistanceName = Literal["mse", "mae", "huber"]
ClassWeightsName = Literal["none", "balanced"]
DifferenceName = Literal["last", "season", "none"]
PointName = Literal["mse", "mae"]
IntervalName = Literal["quantiles", "gaussian", "none"]

Count = Annotated[int, Field(ge=1)]
Rate = Annotated[float, Field(ge=0, lt=1)]
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Settings(BaseModel):
    """What to train, on which data, with which network, and how."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)

    # What, and on which data
    task: TaskName | None = Field(
        None,
        description="classify: one label a sequence; tag: one a step; regress: numbers for a sequence; "
        "regress_steps: for each step; forecast: coming values; fill: missing tokens; generate: what comes "
        "next; translate: another sequence.",
    )
    kind: KindName | None = Field(
        None, description="Texts, series of numbers, or one running text (default: seen from the input)."
    )
    input: str | None = Field(None, description="Input column (default: the first; several: a,b,c).")
    target: str | None = Field(
        None, description="Target column, by name or 1-based number (default: the last; regress: also a,b,c)."
    )
    categories: str | None = Field(
        None,
        description="Input columns that hold names, not numbers (default: of several inputs, those without "
        "a number).",
    )
    condition: str | None = Field(
        None, description="generate: column of the class or numbers that each sequence is made from."
    )
    columns: str | None = Field(None, description="Names for a file without a header: text,label.")
    time: str | None = Field(
        None, description="forecast: column of times (default: the first that holds times)."
    )
    series_id: str | None = Field(None, description="forecast: column that says which series a row is of.")
    known_future: str | None = Field(None, description="forecast: columns that are known ahead: a,b.")
    static: str | None = Field(None, description="forecast: columns that stay the same within a series: a,b.")
    train: str | None = Field(
        None, description="Training data: .csv .tsv .jsonl .parquet .conll .conllu .txt"
    )
    valid: str | float | None = Field(
        None,
        description="Validation file, or fraction of train (default 0.1); 0: none, keep the last weights.",
    )
    test: str | float | None = Field(None, description="Test file, or fraction of train to hold out.")
    out: str | None = Field(None, description="Folder for the run: new or empty.")
    resume: str | None = Field(None, description="Go on with the interrupted run in this folder.")
    start_from: str | None = Field(None, description="Start from the weights of the run in this folder.")

    # The network
    cell: CellName = Field("lstm", description="The recurrence: rnn (Elman), gru or lstm.")
    nonlinearity: Literal["tanh", "relu"] = Field("tanh", description="Activation of the rnn cell.")
    hidden_size: Count | None = Field(None, description="Units in each layer and direction.")
    num_layers: Count | None = Field(None, description="Recurrent layers, one on the other.")
    bidirectional: bool | None = Field(None, description="Also read each sequence from its end.")
    embedding: EmbeddingName = Field(
        "trainable",
        description="Token vectors: trainable, sparse (only used rows move), frozen (--vectors) or one-hot.",
    )
    embedding_size: Count | None = Field(None, description="Numbers in a token's vector.")
    vectors: str | None = Field(
        None, description="Text file of pre-trained vectors (GloVe or word2vec text)."
    )
    characters: CharactersName | None = Field(
        None,
        description="What a word's spelling adds to its vector: none, a recurrent summary or a convolution.",
    )
    pairs: bool | None = Field(None, description="Also give each pair of neighbouring tokens a vector.")
    initial_state: InitialStateName = Field("zeros", description="The state before the first step.")
    pooling: PoolingName | None = Field(
        None, description="classify, regress: how a sequence becomes one vector."
    )
    tied: bool | None = Field(None, description="generate: read and write tokens by the same vectors.")
    crf: bool | None = Field(None, description="tag: score whole tag sequences (default: for BIO tags).")
    attention: AttentionName | None = Field(
        None, description="translate: what the decoder looks back with; none: a fixed context."
    )
    hide_rate: Rate | None = Field(None, description="fill: share of tokens hidden, in training and scoring.")
    gap: str | None = Field(None, description="fill: what marks a missing token in a text (___ always does).")
    horizon: Count | None = Field(None, description="forecast: steps ahead (default: by the frequency).")
    context: Count | None = Field(None, description="forecast: rows that are read before them.")
    season: Count | None = Field(None, description="forecast: steps of a season (default: by the frequency).")
    patch: Count | None = Field(
        None, description="forecast: rows that are read as one step (default: a season)."
    )
    difference: DifferenceName | None = Field(
        None, description="forecast: what is subtracted and added back: the last value, the last season."
    )
    recursive: bool | None = Field(
        None, description="forecast: one step at a time, each from those before it (default: all at once)."
    )
    calendar: bool | None = Field(
        None, description="forecast: also read the hour, the day of the week, the time of the year."
    )
    point: PointName | None = Field(
        None,
        description="forecast: error that the point forecast makes small: mse (a mean) or mae (a median).",
    )
    interval: IntervalName | None = Field(None, description="forecast: what the quantiles come from.")
    quantiles: str | None = Field(None, description="forecast: which quantiles (default 0.1,0.5,0.9).")
    backtest: Count | None = Field(
        None,
        description="forecast: also cut the test share into so many blocks, with a model before each.",
    )
    dropout: Rate | None = Field(None, description="Share of units switched off while training.")
    input_dropout: Rate | None = Field(None, description="The same for what the first layer reads.")
    dropout_kind: DropoutKindName = Field(
        "each-step", description="Dropout anew at each step, or one mask a sequence (variational)."
    )
    recurrent_dropout: Rate = Field(0.0, description="Share of the state hidden from the recurrent weights.")
    weight_drop: Rate | None = Field(None, description="Share of recurrent weights switched off at a time.")
    zoneout: Rate = Field(0.0, description="Share of the state that keeps its value over a step.")
    layer_norm: bool = Field(False, description="Normalise what each step adds up.")
    init: InitName | None = Field(
        None, description="Initial weights: torch's, orthogonal, identity (rnn) or chrono (gru, lstm)."
    )
    memory_steps: Annotated[int, Field(ge=2)] | None = Field(
        None, description="Chrono: steps that the longest dependency spans."
    )
    forget_bias: float | None = Field(None, description="Initial bias of the LSTM's forget gate.")

    # Tokens
    tokens: TokensName | None = Field(
        None, description="What a text is cut into (default: words or characters, seen from the data)."
    )
    target_tokens: TokensName | None = Field(
        None, description="translate: the same for the target (default: seen from the data)."
    )
    shared_vocab: bool | None = Field(None, description="translate: one vocabulary for both sides.")
    normal_form: NormalFormName = Field(
        "nfc", description="Unicode form of characters; nfd takes them apart."
    )
    lowercase: bool | None = Field(None, description="Look words up in lower case (spelling keeps its case).")
    min_count: Count | None = Field(None, description="Rarer tokens are unknown ones.")
    max_vocab: Count | None = Field(None, description="Keep at most so many tokens, the most frequent.")
    max_length: Count | None = Field(
        None, description="classify, regress: read only the first so many tokens."
    )
    max_target_length: Count | None = Field(
        None, description="translate: tokens of an output at most (default: of the longest training target)."
    )
    unknown_rate: NonNegative | None = Field(
        None, description="Hide a training token of count n as unknown with probability a/(a+n); 0: never."
    )

    # Training
    epochs: Count | None = Field(
        None, description="Passes over the data (default: set by the number of steps)."
    )
    batch_size: Count | None = Field(None, description="Sequences in a step.")
    learning_rate: Positive | None = Field(None, description="Step size at its highest.")
    optimizer: OptimizerName = Field("adam", description="Rule of the update.")
    weight_decay: NonNegative = Field(0.0, description="Pull of the weights towards zero.")
    warmup: Annotated[int, Field(ge=0)] | None = Field(None, description="Steps over which the rate rises.")
    decay: DecayName | None = Field(None, description="How the rate falls to zero after that.")
    clip_norm: NonNegative | None = Field(None, description="Largest norm of the gradient; 0: no clipping.")
    bptt_window: Count | None = Field(
        None,
        description="Cut the gradient every so many steps (default: never; 64 in a running text).",
    )
    label_smoothing: Rate | None = Field(
        None, description="translate: share of the right token's probability asked for all alike."
    )
    teacher_forcing: TeacherForcingName = Field(
        "always", description="translate: how the rate of reading the right former token falls."
    )
    teacher_forcing_end: Annotated[float, Field(ge=0, le=1)] = Field(
        0.5, description="translate: that rate at the end."
    )
    beam_size: Count | None = Field(None, description="translate: candidates that beam search follows.")
    length_penalty: NonNegative | None = Field(
        None, description="translate: how much longer outputs are favoured (0: not at all)."
    )
    loss: DistanceName | None = Field(
        None, description="regress: what is made small: mse, mae or huber (default: mse)."
    )
    class_weights: ClassWeightsName = Field("none", description="classify: balanced weighs rare labels up.")
    metric: str | None = Field(None, description="Validation metric that picks the best weights.")
    patience: Count | None = Field(None, description="Stop after so many epochs without a better metric.")
    seed: Annotated[int, Field(ge=0, lt=2**63)] = Field(0, description="Seed of every random choice.")
    threads: Count | None = Field(None, description="CPU threads (default: all cores).")
    max_minutes: Positive | None = Field(None, description="Stop, and save, after this time.")
    xray_every: Count | None = Field(
        None, description="Write what is seen inside the network every so many steps to xray.jsonl."
    )
    device: str = Field("cpu", description="cpu, cuda or cuda:N.")


def unknown_name(what: str, name: str, known: list[str]) -> str:
    """Return the message for a name that is not known, with the nearest known one suggested.

    Args:
        what: the noun for the name ("setting", "column", "demo").
        name: what the user wrote.
        known: what could have been written.
    """
    near = nearest_name(name, known)
    hint = f"did you mean {near!r}?" if near else f"known: {', '.join(known) or 'none'}."
    return f"unknown {what} {name!r}; {hint}"


def nearest_name(name: str, known: Sequence[str]) -> str | None:
    """Return the known name that a mistyped one is nearest to; None if none is near.

    Example:
        >>> nearest_name("lstmm", ["rnn", "gru", "lstm"])
        'lstm'
    """
    return next(iter(difflib.get_close_matches(name, known, n=1, cutoff=0.5)), None)


def make_settings(values: dict[str, Any], *, source: str = "settings") -> Settings:
    """Check values and return them as `Settings`.

    Args:
        values: setting names to values; None stands for "not given".
        source: where they come from, for the message (a file, or "arguments").

    Raises:
        ConfigError: an unknown name (the nearest is named) or a value of the wrong type or range.
    """
    for key in values:
        if key not in Settings.model_fields:
            raise ConfigError(f"{source}: {unknown_name('setting', key, list(Settings.model_fields))}")
    try:
        return Settings(**{key: value for key, value in values.items() if value is not None})
    except ValidationError as error:
        raise ConfigError(_not_valid(error.errors()[0], source)) from None


def _not_valid(error: Any, source: str) -> str:
    """Return pydantic's first complaint as one of ours: the setting as it was written, and what it may be."""
    name, value = str(error["loc"][0]) if error["loc"] else "settings", error["input"]
    place = f"--{name.replace('_', '-')} {value}" if source == "flags" else f"{source}: {name} = {value!r}"
    kind = Settings.model_fields[name].annotation if name in Settings.model_fields else None
    choices = [
        choice for each in (kind, *get_args(kind)) if get_origin(each) is Literal for choice in get_args(each)
    ]
    if choices:
        near = nearest_name(value, choices) if isinstance(value, str) else None
        hint = (
            f"did you mean {near!r}? ({', '.join(choices)})"
            if near
            else f"expected one of {', '.join(choices)}."
        )
        return f"{place} is no choice; {hint}"
    told = str(error["msg"]).removeprefix("Input should be ")
    told = f"a number {told}" if told.startswith(("greater", "less")) else told
    return f"{place} is not valid; expected {told}."


def read_toml(path: str | Path) -> dict[str, Any]:
    """Return the keys of a TOML file of settings (dashes in names may stand for underscores).

    Raises:
        ConfigError: the file is missing, is not TOML, or has a table where a value is expected.
    """
    try:
        with open(path, "rb") as file:
            values = tomllib.load(file)
    except OSError as error:
        raise ConfigError(
            f"{path}: cannot be read ({error.strerror}); name a TOML file of settings."
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: is not TOML: {error}.") from None
    tables = [key for key, value in values.items() if isinstance(value, dict)]
    if tables:
        raise ConfigError(f"{path}: [{tables[0]}] is a table; settings stand at the top level, name = value.")
    return {key.replace("-", "_"): value for key, value in values.items()}


def split_names(text: str | None) -> list[str]:
    """Return the names in a comma-separated list: "a, b" -> ["a", "b"]."""
    return [name.strip() for name in text.split(",") if name.strip()] if text else []

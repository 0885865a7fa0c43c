"""TRAIN ARGUMENTS: the settings as arguments of `elman.train`, in plain Python, and messages in its words."""

import re
from pathlib import Path
from typing import Any, Literal, TypedDict

import numpy as np

from elman.config import (
    AttentionName,
    CellName,
    CharactersName,
    ClassWeightsName,
    DecayName,
    DifferenceName,
    DistanceName,
    DropoutKindName,
    EmbeddingName,
    InitialStateName,
    InitName,
    IntervalName,
    KindName,
    NormalFormName,
    OptimizerName,
    PointName,
    PoolingName,
    Settings,
    TaskName,
    TeacherForcingName,
    TokensName,
)


class TrainArguments(TypedDict, total=False):
    """The keyword arguments of `elman.train`: those of `Settings`, all optional (see there)."""

    task: TaskName
    kind: KindName
    input: str
    target: str
    categories: str
    condition: str
    columns: str
    time: str
    series_id: str
    known_future: str
    static: str
    train: Any
    valid: Any
    test: Any
    out: str | Path
    resume: str | Path
    start_from: str | Path
    cell: CellName
    nonlinearity: Literal["tanh", "relu"]
    hidden_size: int
    num_layers: int
    bidirectional: bool
    embedding: EmbeddingName
    embedding_size: int
    vectors: str | Path
    characters: CharactersName
    pairs: bool
    initial_state: InitialStateName
    pooling: PoolingName
    tied: bool
    crf: bool
    attention: AttentionName
    hide_rate: float
    gap: str
    horizon: int
    context: int
    season: int
    patch: int
    difference: DifferenceName
    recursive: bool
    calendar: bool
    point: PointName
    interval: IntervalName
    quantiles: str
    backtest: int
    dropout: float
    input_dropout: float
    dropout_kind: DropoutKindName
    recurrent_dropout: float
    weight_drop: float
    zoneout: float
    layer_norm: bool
    init: InitName
    memory_steps: int
    forget_bias: float
    tokens: TokensName
    target_tokens: TokensName
    shared_vocab: bool
    normal_form: NormalFormName
    lowercase: bool
    min_count: int
    max_vocab: int
    max_length: int
    max_target_length: int
    unknown_rate: float
    epochs: int
    batch_size: int
    learning_rate: float
    optimizer: OptimizerName
    weight_decay: float
    warmup: int
    decay: DecayName
    clip_norm: float
    bptt_window: int
    label_smoothing: float
    teacher_forcing: TeacherForcingName
    teacher_forcing_end: float
    beam_size: int
    length_penalty: float
    loss: DistanceName
    class_weights: ClassWeightsName
    metric: str
    patience: int
    seed: int
    threads: int
    max_minutes: float
    xray_every: int
    device: str


def plain(value: Any) -> Any:
    """Return a number of NumPy's, as computed settings are, as Python's, and a path as text; others as given.

    Example:
        >>> plain(np.int64(3)), plain(np.bool_(True)), plain(Path("a.csv")), plain([1])
        (3, True, 'a.csv', [1])
    """
    if isinstance(value, np.generic):
        return value.item()
    return str(value) if isinstance(value, Path) else value


def are_rows(value: Any) -> bool:
    """Say whether a part of the data came as an object, and not as a path, a share or nothing.

    Example:
        >>> are_rows([("a text", "a label")]), are_rows("data.csv"), are_rows(0.1)
        (True, False, False)
    """
    return not isinstance(value, str | int | float | None)


_FLAG = re.compile(
    r"(?<![\w-])--(no-)?([a-z][a-z-]*)"
    r"(?: ([A-Z]{3,}\b|\{[^}]*\}"
    r"|(?:classify|tag|regress|regress_steps|forecast|fill|generate|translate)\b))?"
)


def in_python(message: str) -> str:
    """Return a message that names settings as flags with the arguments of `elman.train` in their place.

    Example:
        >>> in_python("no task; name one with --task {classify,tag}, or leave --no-crf out.")
        'no task; name one with task={classify,tag}, or leave crf=False out.'
        >>> in_python("go on with: elman train --resume runs/pos")
        "go on with: elman.train(resume='runs/pos')"
    """

    def argument(flag: re.Match[str]) -> str:
        name, value = flag[2].replace("-", "_"), flag[3]
        if name not in Settings.model_fields:
            return flag[0]
        if flag[1] or not value:
            return f"{name}=False" if flag[1] else name
        return f"{name}={value!r}" if value.isalpha() and value.islower() else f"{name}={value}"

    message = re.sub(r"elman (train|tune) --resume (.+)$", r"elman.\1(resume='\2')", message)
    return _FLAG.sub(argument, message)

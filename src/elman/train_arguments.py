"""TRAIN ARGUMENTS: the settings as keyword arguments of `elman.train`, and messages in Python's words."""

import re
from pathlib import Path
from typing import Any, Literal, TypedDict

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

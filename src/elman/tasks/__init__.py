"""TASKS: what `--task` can name. A new task is one file and one line here (and in `config.TaskName`)."""

from typing import Any

from elman.config import Settings
from elman.tasks.classify import Classify
from elman.tasks.fill import Fill
from elman.tasks.forecast import Forecast
from elman.tasks.generate import Generate
from elman.tasks.regress import Regress
from elman.tasks.regress_steps import RegressSteps
from elman.tasks.tag import Tag
from elman.tasks.task import Task
from elman.tasks.translate import Translate

TASKS: dict[str, type[Task]] = {
    "classify": Classify,
    "tag": Tag,
    "regress": Regress,
    "regress_steps": RegressSteps,
    "forecast": Forecast,
    "fill": Fill,
    "generate": Generate,
    "translate": Translate,
}


def task_from_json(chosen: Settings, values: dict[str, Any]) -> Task:
    """Return the task of a run.

    Args:
        chosen: the settings with every choice made, from `config.json`.
        values: what `vocab.json` holds.
    """
    return TASKS[str(chosen.task)].from_json(chosen, values)

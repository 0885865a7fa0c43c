"""SEARCH: what a search is, as its folder holds it: `search.json` beside the journal of its trials."""

import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from elman.config import Settings, make_settings
from elman.dataset import IN_MEMORY, PARTS
from elman.errors import CheckpointError, ConfigError, DataError, RunError
from elman.metrics import SMALLER_IS_BETTER
from elman.run_folder import read_json, settings_to_store, versions, write_json
from elman.run_train import plan_of
from elman.tuning.search_space import Dimension, search_space
from elman.tuning.study import Study
from elman.tuning.trial import Workbench

FORMAT = 1
"""Number of the layout of a search's folder; a later one is refused."""

FILE, JOURNAL = "search.json", "trials.jsonl"

PLACES = ("train", "valid", "test", "vectors")
"""Settings that say where data lie, which may be elsewhere when a search is resumed."""

MAY_CHANGE = (*PLACES, "threads")
"""Settings that may be given anew with `resume`."""


@dataclass(frozen=True)
class Search:
    """What is searched, on which data, and how often.

    Args:
        folder: where it is kept.
        settings: as given, with the metric where the data do not decide it.
        space: what is searched.
        metric: the validation metric that is made better.
        trials: how many, the recipe's own among them.
        processes: how many work at once.
        data: what is known of training and validation part, as in a run's `config.json`; of the test part no
            more than that it was in memory.
    """

    folder: Path
    settings: Settings
    space: Sequence[Dimension]
    metric: str
    trials: int
    processes: int
    data: Mapping[str, Any]

    @property
    def larger_is_better(self) -> bool:
        """Whether more of the metric is better."""
        return self.metric not in SMALLER_IS_BETTER

    @property
    def defaults(self) -> dict[str, Any]:
        """What the recipe chooses for each searched setting."""
        return {dimension.name: dimension.default for dimension in self.space}

    @property
    def threads(self) -> int | None:
        """How many threads a trial has: those given, or its process's share of cores; None: torch's own."""
        if self.settings.threads is not None or self.processes == 1:
            return self.settings.threads
        return max(1, len(os.sched_getaffinity(0)) // self.processes)

    def settings_of_trials(self) -> Settings:
        """Return the settings that all trials share, their threads among them."""
        return make_settings(self.settings.model_dump(exclude_unset=True) | {"threads": self.threads})

    def study(self) -> Study:
        """Return the trials."""
        return Study(
            self.folder / JOURNAL,
            self.space,
            larger_is_better=self.larger_is_better,
            seed=self.settings.seed,
        )

    def write(self) -> None:
        """Write `search.json`."""
        values = {
            "format": FORMAT,
            "settings": settings_to_store(self.settings),
            "space": [dimension.to_json() for dimension in self.space],
            "metric": self.metric,
            "trials": self.trials,
            "processes": self.processes,
            "data": dict(self.data),
            "versions": versions(),
        }
        write_json(self.folder / FILE, values)

    @classmethod
    def read(cls, folder: Path) -> "Search":
        """Read `search.json`.

        Raises:
            RunError: the folder holds no search.
            CheckpointError: it is damaged, or a later version wrote it.
        """
        if not (folder / FILE).exists():
            raise RunError(f"{folder}: holds no search; name the folder that `elman tune --out` wrote.")
        values = read_json(folder / FILE)
        if values.get("format") != FORMAT:
            raise CheckpointError(
                f"{folder}: has search format {values.get('format')!r}, this version reads format {FORMAT}; "
                "use the version of elman that wrote it (search.json names it)."
            )
        return cls(
            folder,
            make_settings(values["settings"], source=str(folder / FILE)),
            [Dimension.from_json(each) for each in values["space"]],
            values["metric"],
            values["trials"],
            values["processes"],
            values["data"],
        )


def new_search(
    settings: Settings,
    bench: Workbench,
    folder: Path,
    *,
    trials: int,
    processes: int,
    in_memory: Collection[str] = (),
) -> Search:
    """Return a search around what the recipe chooses, having tried that it can be prepared.

    Args:
        settings: as given.
        bench: the data; its settings are those of the trials, the test part apart.
        folder: where it will be kept.
        trials: how many.
        processes: how many work at once.
        in_memory: parts of the data that are rows in memory.

    Raises:
        ElmanError: whatever the task says of the settings and the data.
    """
    task, _ = bench.prepare({})
    metric = plan_of(task).metric  # which refuses one that the task has not
    space = search_space(settings, task.chosen, metric)
    # Where the data decide the metric they decide it in every trial, and the best run shows its task's own.
    values: dict[str, Any] = {} if task.kept_by is not None else {"metric": metric}
    kept = make_settings(settings.model_dump(exclude_unset=True, exclude={"out"}) | values)
    data = bench.dataset.to_json()
    if "test" in in_memory:  # nothing of it is read here, but it is to be given again
        data["test"] = {"file": IN_MEMORY}
    return Search(folder, kept, space, metric, trials, processes, data)


def search_to_resume(
    settings: Settings, given: Mapping[str, Any], *, trials: int | None, processes: int | None
) -> Search:
    """Return the search in the folder that `resume` names, with what is given anew.

    Raises:
        ConfigError: another setting was given.
        DataError: the rows in memory that it began with were not given again.
    """
    folder = Path(str(settings.resume))
    search = Search.read(folder)
    anew = settings.model_dump(exclude_unset=True, exclude={"resume"})
    refused = [name for name in anew if name not in MAY_CHANGE]
    if refused:
        raise ConfigError(
            f"{refused[0]} cannot change when a search is resumed (only trials, processes, timeout and "
            f"{', '.join(MAY_CHANGE)} may be given); leave it out, or begin a new search."
        )
    for part in PARTS:
        was_in_memory = search.data.get(part, {}).get("file") == IN_MEMORY
        if was_in_memory and part not in given and part not in anew:
            raise DataError(
                f"{folder}: its {part} data were rows in memory, which a search does not keep; give the same "
                f"rows again, from Python: elman.tune(resume={str(folder)!r}, {part}=rows)"
            )
    kept = make_settings(search.settings.model_dump(exclude_unset=True) | anew)
    return replace(
        search,
        settings=kept,
        trials=trials or search.trials,
        processes=processes or search.processes,
    )


def check_same_data(search: Search, bench: Workbench) -> None:
    """Refuse to go on with other data than the trials so far were scored on.

    Raises:
        DataError: a part has changed.
    """
    for part, now in bench.dataset.to_json().items():
        then = search.data.get(part, now)
        if then["sha256"] != now["sha256"]:
            raise DataError(
                f"{search.folder}: the {part} data have changed since the search began "
                f"({then['examples']} examples then, {now['examples']} now); restore them to resume, or "
                "begin a new search."
            )

"""`elman tune`: try settings around the recipe's, show what was found, and keep the best run."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Any, get_args

from tyro.conf import arg

from elman.cli.command_flags import USAGE
from elman.cli.flags import parse, settings_of, train_command, train_grammar
from elman.config import Settings

HELP = """Try settings around those that the recipe chooses, and keep the best run.

What you give is not searched. Test data are read once, when all is chosen.
  elman tune --task classify --train reviews.csv --trials 20 --out runs/tuned
  elman tune config.toml --cell gru --processes 2 --timeout 60
  elman tune --resume runs/tuned --trials 40
"""

FLAGS: dict[str, Any] = {
    "trials": Annotated[
        int,
        arg(
            metavar="N",
            help="Trainings to try, the recipe's own among them.",
            help_behavior_hint="(default: 20)",
        ),
    ],
    "processes": Annotated[
        int,
        arg(metavar="N", help="How many at once; they share the threads.", help_behavior_hint="(default: 1)"),
    ],
    "timeout": Annotated[
        float, arg(metavar="MINUTES", help="Try no more after this time.", help_behavior_hint="")
    ],
}


def tune(arguments: Sequence[str]) -> int:
    """Search, then show the best trials beside the recipe's own, what mattered, and the best run."""
    settings, own = read_tune(arguments)
    from elman import progress, terminal
    from elman.tuning import told
    from elman.tuning.tune import tune_run

    with progress.display() as shown:
        found = tune_run(
            settings,
            trials=own.get("trials"),
            processes=own.get("processes"),
            timeout=own.get("timeout"),
            observers=[shown],
            announce=progress.announce,
        )
    print(terminal.outcome(found.run))
    print(f"\n{told.best_table(found.trials, found.search, terminal.columns())}")
    print(f"\n{told.importance_table(found.importances)}")
    print(f"\nsearch   {found.folder / 'tune.html'}")
    print(f"again    elman train {terminal.quoted(str(found.folder / 'best.toml'))} --out FOLDER")
    return 0


def read_tune(arguments: Sequence[str]) -> tuple[Settings, dict[str, Any]]:
    """Return the settings of `elman tune`, which are those of `elman train`, and the flags of its own.

    Raises:
        ConfigError: an unknown flag or key (the nearest is named), or a value of the wrong type or range.
        SystemExit: help was shown (0).

    Example:
        >>> settings, own = read_tune(["--task", "tag", "--train", "a.conllu", "--trials", "30"])
        >>> settings.task, own
        ('tag', {'trials': 30})
    """
    kind, titles = train_command({"search": FLAGS})
    own = {name: get_args(annotation)[0] for name, annotation in FLAGS.items()}
    grammar = train_grammar()
    grammar = replace(grammar, command="tune", usage=USAGE["tune"], flags={**own, **grammar.flags})
    parsed: Any = parse(kind, arguments, grammar, description=HELP)
    settings = settings_of(parsed, [title for title in titles if title != "search"], "tune")
    return settings, dict(parsed.search)

"""THE COMMAND LINE: which command runs, and what a person sees when it cannot.

This file imports the standard library and `errors` alone, so that `elman --help` answers at once; a
command's own help loads tyro (`flags.py`), and torch is loaded only where a model is needed.
"""

import importlib
import os
import sys
from collections.abc import Sequence

from elman.errors import ElmanError, Interrupted

HELP = """\
elman: recurrent networks, end to end

usage: elman COMMAND ...

  train      train a model on a file of sequences
  tune       try settings around the default, and keep the best run
  evaluate   score a trained model on a file
  predict    label texts, or every row of a file
  generate   let a trained model write
  info       show a model: layers, settings, scores, nearest words
  compare    set runs of one task side by side
  xray       show what goes on inside a model, and what ails it
  demo       run a worked example on real data; without a name: list them
  bench      time the layers beside torch.nn on this machine

a first model, and its use:

  elman demo names
  elman train --task classify --train reviews.csv --out runs/reviews
  elman train --task tag --train train.conllu --target upos --out runs/pos
  elman predict runs/pos "Pankaj lives in Munich"
  elman train --task generate --train plays.txt --out runs/poet
  elman generate runs/poet --prompt "ROMEO:"

elman COMMAND --help shows the flags of a command; elman --version the version.
"""

# Command -> the module and function that run it with the rest of the command line.
COMMANDS: dict[str, tuple[str, str]] = {
    "train": ("elman.cli.commands", "train"),
    "tune": ("elman.cli.tune", "tune"),
    "evaluate": ("elman.cli.commands", "evaluate"),
    "predict": ("elman.cli.commands", "predict"),
    "generate": ("elman.cli.generate", "generate"),
    "info": ("elman.cli.commands", "info"),
    "compare": ("elman.cli.compare", "compare"),
    "xray": ("elman.cli.xray", "xray"),
    "demo": ("elman.cli.commands", "demo"),
    "bench": ("elman.cli.commands", "bench"),
}

EXIT_BROKEN_PIPE = 141  # 128 + SIGPIPE, as a shell reports a program that nobody listens to any more
EXIT_INTERRUPTED = 130  # 128 + SIGINT


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line and return the exit code; errors of the user's become one message.

    Args:
        argv: the words after `elman`; None: those of this process.

    Example:
        >>> main(["--help"]) == 0
        elman: recurrent networks, end to end
        ...
        True
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    # Before torch is loaded: threads that spin for long while they wait are ten times slower on a busy
    # machine, and threads that never spin are 40 % slower on an idle one.
    if arguments[:1] != ["bench"]:  # which times torch as it comes
        os.environ.setdefault("GOMP_SPINCOUNT", "50000")
    # Before pydantic is loaded: to look for plug-ins it would read the metadata of every installed package.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    try:
        code = run_command(arguments)
        sys.stdout.flush()  # here, where a closed pipe can still be answered
        return code
    except SystemExit as stop:  # tyro, when it has shown help (0) or said what is wrong (2)
        return stop.code if isinstance(stop.code, int) else 1
    except Interrupted as stop:
        print(f"\n{stop}", file=sys.stderr)
        return stop.exit_code
    except ElmanError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("\ninterrupted", file=sys.stderr)
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # What is still buffered goes nowhere, quietly, when Python closes standard output.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_BROKEN_PIPE


def run_command(arguments: list[str]) -> int:
    """Find the command and run it; return its exit code.

    Raises:
        ElmanError: whatever the command raises, and an unknown command (the nearest is named).
    """
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        sys.stdout.write(HELP)
        return 0
    name, rest = arguments[0], arguments[1:]
    if name in ("-V", "--version"):
        import elman

        print(f"elman {elman.__version__}")
        return 0
    if name not in COMMANDS:
        from elman.config import unknown_name
        from elman.errors import ConfigError

        raise ConfigError(
            f"{unknown_name('command', name, list(COMMANDS))} elman --help lists what there is."
        )
    module, function = COMMANDS[name]
    code: int = getattr(importlib.import_module(module), function)(rest)
    return code

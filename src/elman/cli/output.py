"""OUTPUT: whether the file of `--output` can be what a command writes, asked before anything is computed."""

from collections.abc import Sequence
from pathlib import Path

from elman.errors import ConfigError, RunError

JSON_LINES = (".jsonl",)
PAGES = (".html", ".htm")


def check_output(output: str, written: str, suffixes: Sequence[str]) -> None:
    """Refuse a name that promises another format than is written, and a folder that is not there.

    Args:
        output: what was given with the flag; "": nothing is written.
        written: what is written, in words.
        suffixes: what its name may end in.

    Raises:
        ConfigError: the name has another ending.
        RunError: there is no such folder.

    Example:
        >>> check_output("page.txt", "the page is HTML", PAGES)
        Traceback (most recent call last):
        ...
        elman.errors.ConfigError: --output page.txt: the page is HTML; name a file that ends in .html or .htm.
    """
    if not output:
        return
    path = Path(output)
    if path.suffix.lower() not in suffixes:
        raise ConfigError(f"--output {output}: {written}; name a file that ends in {' or '.join(suffixes)}.")
    if not path.parent.is_dir():
        raise RunError(
            f"--output {output}: there is no folder {path.parent}; make it first, or name another file."
        )

"""Run a command of the command line in this process, and see what it says."""

from elman.cli import main


def said(capsys, *arguments: str, code: int = 0) -> tuple[str, str]:
    """Run a command and return what it wrote to standard output and standard error."""
    capsys.readouterr()
    assert main(list(arguments)) == code
    return capsys.readouterr()

"""`elman xray`: what is seen inside a trained model, and what ails it."""

import sys
from collections.abc import Sequence

from elman.cli.command_flags import Xray
from elman.cli.commands import print_json
from elman.cli.flags import read_command
from elman.cli.output import PAGES, check_output


def xray(arguments: Sequence[str]) -> int:
    """Show the gradients, the memory and the gates of a run's layers, and the diagnoses."""
    wanted = read_command(Xray, arguments, "xray")
    check_output(wanted.output, "the page is HTML", PAGES)
    from elman import progress, xray_terminal
    from elman.report.xray import write_page
    from elman.run import load

    run = load(wanted.run)
    progress.say(f"looking into {wanted.run} ...")
    found = run.xray(wanted.data or None, rows=wanted.rows, tell=lambda layer: progress.say(f"  {layer} ..."))
    if wanted.output:
        write_page(found, wanted.output)
        print(f"the page is {wanted.output}", file=sys.stderr)
    if wanted.json:
        print_json(found.to_json())
    else:
        print(xray_terminal.described(found))
    return 0

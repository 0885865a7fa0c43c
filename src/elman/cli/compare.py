"""`elman compare`: two or more runs side by side, as tables or as a page."""

import sys
from collections.abc import Sequence

from elman.cli.command_flags import Compare
from elman.cli.commands import print_json
from elman.cli.flags import read_command
from elman.cli.output import PAGES, check_output


def compare(arguments: Sequence[str]) -> int:
    """Show runs side by side."""
    wanted = read_command(Compare, arguments, "compare")
    check_output(wanted.output, "the page is HTML", PAGES)
    from elman import comparison, progress

    if wanted.xray:
        progress.say(f"looking into {len(wanted.runs)} networks, one after the other ...")
    shown = comparison.compare(*wanted.runs, xray=wanted.xray, data=wanted.data or None, rows=wanted.rows)
    if wanted.output:
        shown.write_page(wanted.output)
        print(f"{len(shown.runs)} runs side by side in {wanted.output}", file=sys.stderr)
    if wanted.json:
        print_json(shown.to_json())
    elif not wanted.output:
        print(shown)
    return 0

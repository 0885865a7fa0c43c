"""Settings of Sphinx for these pages: Markdown by MyST, the furo theme, nothing fetched from the network."""

import tomllib
from pathlib import Path

_project = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text(encoding="utf-8"))[
    "project"
]

project = _project["name"]
author = "The elman maintainers"
release = version = _project["version"]
project_copyright = f"2026, {author}"

extensions = ["myst_parser"]
source_suffix = {".md": "markdown"}
root_doc = "index"
exclude_patterns = ["_build"]
myst_heading_anchors = 3
myst_enable_extensions = ["deflist", "dollarmath"]

html_theme = "furo"
html_title = f"elman {release}"
html_copy_source = False
html_show_sphinx = False

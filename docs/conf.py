"""Sphinx's settings; `make docs` builds the site from the pages beside this file."""

import re
from pathlib import Path

project = "lee"
author = copyright = "the lee developers"
release = re.search(  # where pyproject.toml reads it, too
    r"project\(\s*lee\s+VERSION\s+([0-9.]+)", (Path(__file__).parents[1] / "CMakeLists.txt").read_text()
)[1]

extensions = ["myst_parser", "numpydoc", "sphinx.ext.autosummary", "sphinx_click"]
html_theme = "furo"
html_title = f"lee {release}"
templates_path = ["_templates"]
exclude_patterns = ["_templates"]
smartquotes = False  # options begin with two hyphens

myst_enable_extensions = ["deflist"]
myst_heading_anchors = 3

autosummary_imported_members = True
autosummary_ignore_module_all = False
autodoc_typehints = "none"  # docstrings state types with their shapes and units
numpydoc_show_class_members = False

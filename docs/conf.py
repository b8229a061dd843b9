"""How Sphinx builds these pages: ``python -m sphinx -W -b html docs docs/_build/html``."""

import concurrent_log

project = "concurrent_log"
author = "the concurrent_log contributors"
version = release = concurrent_log.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_copybutton"]
exclude_patterns = ["_build"]
myst_heading_anchors = 3  # links such as guarantees.md#power-loss

default_role = "py:obj"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
autodoc_member_order = "bysource"

copybutton_prompt_text = "$ "  # Copies the commands of a console block, and not their output.

html_theme = "furo"
html_title = f"concurrent_log {version}"
html_show_copyright = False

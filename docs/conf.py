"""Sphinx configuration."""

import os
import re
import sys

sys.path.insert(0, os.path.abspath(".."))

import skcae

project = "skcae"
author = "The skcae developers"
copyright = author
version = release = skcae.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "numpydoc",
    "matplotlib.sphinxext.plot_directive",
]
exclude_patterns = ["_build"]
templates_path = ["_templates"]
default_role = "literal"

html_theme = "furo"
html_title = f"skcae {release}"
html_copy_source = False
html_show_copyright = False

autosummary_generate = True
autodoc_typehints = "none"  # the docstrings hold the types
numpydoc_show_class_members = False  # the templates list the methods
numpydoc_xref_param_type = False

plot_include_source = True
plot_html_show_formats = False
plot_html_show_source_link = False
plot_formats = [("png", 120)]
plot_rcparams = {"savefig.bbox": "tight"}


def escape_shapes(app, what, name, obj, options, lines):
    """Keep ``*`` and ``_`` in "of shape (n_features_in_, *input_shape)" from being markup."""
    for i, line in enumerate(lines):
        if re.match(r"\s*\w+ : .*of shape", line):
            lines[i] = re.sub(r"(?<!\w)\*(?=\w)|_(?=[,)])", r"\\\g<0>", line)


def setup(app):
    app.connect("autodoc-process-docstring", escape_shapes, priority=400)  # before numpydoc

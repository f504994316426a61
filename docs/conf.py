"""Sphinx configuration."""

import os
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

"""Sphinx configuration."""

import inspect
import os
import re
import sys

sys.path.insert(0, os.path.abspath(".."))
sys.path.insert(1, os.path.abspath("_extensions"))

from sklearn.base import BaseEstimator

import skcae

project = "skcae"
author = "The skcae developers"
copyright = author
version = release = skcae.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "numpydoc",
    "matplotlib.sphinxext.plot_directive",
    "sphinx_gallery.gen_gallery",
    "mathml",
]
exclude_patterns = ["_build"]
templates_path = ["_templates"]
default_role = "literal"

# The build needs no connection. With one, SKCAE_INTERSPHINX=1 makes links of names of other
# packages, which are plain words without.
if os.environ.get("SKCAE_INTERSPHINX"):
    extensions.append("sphinx.ext.intersphinx")
    intersphinx_mapping = {
        "python": ("https://docs.python.org/3", None),
        "numpy": ("https://numpy.org/doc/stable", None),
        "sklearn": ("https://scikit-learn.org/stable", None),
        "torch": ("https://docs.pytorch.org/docs/stable", None),
        "skorch": ("https://skorch.readthedocs.io/en/stable", None),
        "joblib": ("https://joblib.readthedocs.io/en/stable", None),
    }

html_theme = "pydata_sphinx_theme"
html_title = f"skcae {release}"
html_copy_source = False
html_show_sourcelink = False
html_show_copyright = False
html_static_path = ["_static"]
html_css_files = ["skcae.css"]
html_math_renderer = "mathml"
html_context = {"default_mode": "auto"}
html_theme_options = {
    "header_links_before_dropdown": 4,
    "show_toc_level": 2,
    "icon_links": [],
    "navigation_with_keys": False,
    "pygments_light_style": "a11y-high-contrast-light",
    "secondary_sidebar_items": ["page-toc"],
    "show_prev_next": True,
}

autosummary_generate = True
autodoc_typehints = "none"  # the docstrings hold the types
toc_object_entries_show_parents = "hide"
python_maximum_signature_line_length = 60
numpydoc_show_class_members = False  # the templates list the methods
numpydoc_xref_param_type = False

plot_include_source = plot_html_show_formats = plot_html_show_source_link = False
plot_formats = [("png", 120)]

sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "auto_examples",
    "filename_pattern": r"plot_\d+",
    "ignore_pattern": r"seeds",  # MNIST, and minutes: scripts
    "within_subsection_order": "FileNameSortKey",
    "backreferences_dir": "api/backreferences",
    "doc_module": ("skcae",),
    "reference_url": {"skcae": None},
    "remove_config_comments": True,
    "write_computation_times": False,
    "show_memory": False,
    "show_signature": False,
    "min_reported_time": 1,
}


def escape_shapes(app, what, name, obj, options, lines):
    """Keep ``*`` and ``_`` in "of shape (n_features_in_, *input_shape)" from being markup."""
    for i, line in enumerate(lines):
        if re.match(r"\s*\w+ : .*of shape", line):
            lines[i] = re.sub(r"(?<!\w)\*(?=\w)|_(?=[,)])", r"\\\g<0>", line)


def sign_with_init(app, what, name, obj, options, signature, returned):
    """Show the parameters of an estimator's ``__init__``, not those of ``__new__``."""
    if what == "class" and issubclass(obj, BaseEstimator):
        init = inspect.signature(obj.__init__)
        return str(init.replace(parameters=list(init.parameters.values())[1:])), returned
    return None


def setup(app):
    app.connect("autodoc-process-signature", sign_with_init)
    app.connect("autodoc-process-docstring", escape_shapes, priority=400)  # before numpydoc

"""The import rows of the package: each file imports only from the rows below its own."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import skcae

PACKAGE = Path(skcae.__file__).parent
ROWS = [
    {"modules", "losses", "priors", "corruptions", "scores", "datasets", "plots", "_docs"},
    {"_namespaces", "_compiled", "_distributed"},
    {"_stored"},
    {"_layout", "_tensors", "_training", "_usual"},
    {"_net", "_validation", "_callbacks"},
    {"_calibration", "_variational"},
    {"_detector"},
    {"_base"},
    {"_autoencoder", "_vae"},
    {"_conditional"},
    {"__init__"},
]
TORCH_ONLY = ("modules", "losses", "priors", "corruptions")


def _files(name):
    """The file of a concept, or all files of its package."""
    package = PACKAGE / name
    return sorted(package.glob("*.py")) if package.is_dir() else [PACKAGE / f"{name}.py"]


def _imports(name):
    """Top-level modules of skcae that a concept imports, and names of other packages."""
    for path in _files(name):
        inside = len(path.parent.relative_to(PACKAGE).parts)
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.level > inside:
                names = [node.module] if node.module else [a.name for a in node.names]
                yield from (name.split(".")[0] for name in names)
            elif isinstance(node, ast.ImportFrom) and not node.level:
                yield node.module
            elif isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names)


def test_every_file_has_a_row():
    found = {path.stem for path in PACKAGE.iterdir() if path.name != "__pycache__"}
    assert found == set().union(*ROWS)


@pytest.mark.parametrize("row", range(len(ROWS)))
def test_files_import_from_rows_below(row):
    above = set().union(*ROWS[row:])
    for name in ROWS[row]:
        assert not above & set(_imports(name)), name


@pytest.mark.parametrize("name", TORCH_ONLY)
def test_networks_and_losses_know_neither_scikit_learn_nor_skorch(name):
    roots = {module.split(".")[0] for module in _imports(name)}
    assert not roots & {"sklearn", "skorch", "numpy", "pandas"}


def test_import_does_not_load_matplotlib():
    code = "import sys, skcae, skcae.plots; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

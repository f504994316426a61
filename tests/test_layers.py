"""The import rows of the package: each file imports only from the rows below its own."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import skcae

PACKAGE = Path(skcae.__file__).parent
ROWS = [
    {"modules", "losses", "corruptions", "_docs", "datasets", "plots"},
    {"_net", "_layout"},
    {"_base"},
    {"_autoencoder"},
    {"__init__"},
]
TORCH_ONLY = ("modules", "losses", "corruptions")


def _imports(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level:
            yield from ([node.module] if node.module else [a.name for a in node.names])
        elif isinstance(node, ast.ImportFrom):
            yield node.module
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def test_every_file_has_a_row():
    assert {path.stem for path in PACKAGE.glob("*.py")} == set().union(*ROWS)


@pytest.mark.parametrize("row", range(len(ROWS)))
def test_files_import_from_rows_below(row):
    above = set().union(*ROWS[row:])
    for name in ROWS[row]:
        assert not above & set(_imports(PACKAGE / f"{name}.py")), name


@pytest.mark.parametrize("name", TORCH_ONLY)
def test_networks_and_losses_know_neither_scikit_learn_nor_skorch(name):
    roots = {module.split(".")[0] for module in _imports(PACKAGE / f"{name}.py")}
    assert not roots & {"sklearn", "skorch", "numpy", "pandas"}


def test_import_does_not_load_matplotlib():
    code = "import sys, skcae, skcae.plots; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

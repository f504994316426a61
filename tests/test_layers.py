"""The import rows of the package: each file imports only from the rows below its own."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import skcae

PACKAGE = Path(skcae.__file__).parent
# From the top floor down, as the contributing page draws them. A file may import from those to its
# left in its own row too.
ROWS = [
    [
        *("_generative", "_autoencoder", "_vae", "_conditional"),
        *("_export", "_encoding", "_files", "__init__"),
    ],
    ["_finishing", "_fitting", "_detector", "_base"],
    ["_net_params", "_parameters", "_calibration", "_observers", "_labels"],
    ["_net"],
    ["_data"],
    [
        *("_warnings", "_private", "_threads", "_thresholds", "modules", "losses", "priors"),
        *("corruptions", "augmentations"),
        *("densities", "scores", "datasets", "plots"),
    ],
]
# The same within the packages of machinery, lowest first.
WITHIN = {
    "_data": [
        *("_kinds", "_stored", "_repeats", "_layout", "_ranges", "_extremes", "_scaling"),
        *("_validation", "_beside"),
    ],
    "_net": [
        *("_schedules", "_distributed", "_compiled", "_trimming", "_batches", "_build", "_tiles"),
        *("_reference", "_state", "_skorch", "_anomalies", "_net", "_latent", "_importance"),
        *("_variational", "_module", "_start", "_trainer"),
    ],
}
TORCH_ONLY = ("modules", "losses", "priors", "corruptions", "augmentations")
MOST_LINES, MOST_METHODS = 450, 30


def _files(name):
    """The file of a concept, or all files of its package."""
    package = PACKAGE / name
    return sorted(package.glob("*.py")) if package.is_dir() else [PACKAGE / f"{name}.py"]


def _imports(path, level):
    """What a file imports from ``level`` dots up, by the first name; names of other packages."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level == level:
            names = [node.module] if node.module else [alias.name for alias in node.names]
            yield from (name.split(".")[0] for name in names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield node.module
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def _imported(name):
    """Top-level modules of skcae that a concept imports, and names of other packages."""
    for path in _files(name):
        yield from _imports(path, 1 + len(path.parent.relative_to(PACKAGE).parts))


def test_every_file_has_a_row():
    found = {path.stem for path in PACKAGE.iterdir()} - {"__pycache__", "py"}  # py.typed
    assert found == set().union(*ROWS)
    for package, order in WITHIN.items():
        assert {path.stem for path in _files(package)} - {"__init__"} == set(order)


@pytest.mark.parametrize("row", range(len(ROWS)))
def test_files_import_from_rows_below(row):
    above, names = set().union(*ROWS[:row]), ROWS[row]
    for i, name in enumerate(names):
        assert not (above | set(names[i:])) & set(_imported(name)), name


@pytest.mark.parametrize("package", WITHIN)
def test_files_of_the_machinery_import_from_those_before(package):
    for i, name in enumerate(WITHIN[package]):
        beside = set(_imports(PACKAGE / package / f"{name}.py", 1))
        assert not beside & set(WITHIN[package][i:]), name


@pytest.mark.parametrize("name", TORCH_ONLY)
def test_networks_and_losses_know_neither_scikit_learn_nor_skorch(name):
    roots = {module.split(".")[0] for module in _imported(name)}
    assert not roots & {"sklearn", "skorch", "numpy", "pandas"}


def test_a_file_is_one_concept():
    for path in PACKAGE.rglob("*.py"):
        text = path.read_text()
        assert len(text.splitlines()) <= MOST_LINES, path
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.ClassDef):
                methods = [item for item in node.body if isinstance(item, ast.FunctionDef)]
                assert len(methods) <= MOST_METHODS, node.name


def test_private_names_of_other_libraries_are_in_one_file():
    """Imported ones; `_private` tells of each what breaks if it moves."""
    for path in PACKAGE.rglob("*.py"):
        if path.stem == "_private":
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and not node.level:
                names = [*node.module.split("."), *(alias.name for alias in node.names)]
                assert not any(name.startswith("_") for name in names), (path, names)


def test_import_does_not_load_matplotlib():
    code = "import sys, skcae, skcae.plots; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

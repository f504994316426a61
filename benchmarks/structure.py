"""How the package is built, in numbers: files, functions, parameters, and the way of a call.

Run on the package that Python finds, or on that of another checkout::

    python benchmarks/structure.py [--package PATH/skcae]

Lines of code are those with more than a comment or a docstring. A function's run from its ``def``
to its end, so the lines of a function inside it count for both.

The way of a call is that of the functions of the package in the calling thread, with one thread,
on 40 rows of 8 x 8, in one epoch, the second time it is called. Calls and returns of functions of
other packages are left out. A generator counts as called whenever it is resumed, a lambda or a
function that is passed on counts for the file in which it is written, and what has no file, like
the methods that a dataclass writes, does not count.

files     files of which a function was called
switches  calls and returns, in order, that are in another file than the one before
across    calls from a function of one file to one of another, with none of the package between
          them; calls of the same file in a row are one switch, but count here each
climbs    those of them to a file higher in the order of imports: one that imports the file of
          the caller, itself or through others, by statements outside functions, and is not
          imported by it in turn
pairs     pairs of files between which the climbs are
"""

import argparse
import ast
import inspect
import sys
import tokenize
import warnings
from collections import Counter
from functools import partial
from pathlib import Path

import numpy as np
import torch

ESTIMATORS = "ConvAutoencoder", "DenoisingConvAutoencoder", "ConvVAE", "ConditionalConvVAE"
LAYOUT = {
    tokenize.COMMENT,
    tokenize.DEDENT,
    tokenize.ENCODING,
    tokenize.ENDMARKER,
    tokenize.INDENT,
    tokenize.NEWLINE,
    tokenize.NL,
}
FUNCTIONS = ast.FunctionDef, ast.AsyncFunctionDef
LONG = 25


# What is written -------------------------------------------------------------------------------


class Source:
    """A file of the package, read."""

    def __init__(self, path, root):
        self.name = path.relative_to(root).as_posix()
        self.n_lines = len(path.read_text(encoding="utf-8").splitlines())
        self.tree = ast.parse(path.read_bytes())
        self.code = _lines_with_tokens(path) - _docstring_lines(self.tree)

    def functions(self):
        """Names and lines of code of all functions, methods and functions inside functions."""
        for node in ast.walk(self.tree):
            if isinstance(node, FUNCTIONS):
                n = sum(node.lineno <= line <= node.end_lineno for line in self.code)
                yield f"{self.name}: {node.name}", n

    def classes(self):
        """Names of all classes and the numbers of functions that their bodies define."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.ClassDef):
                n = sum(isinstance(child, FUNCTIONS) for child in node.body)
                yield f"{self.name}: {node.name}", n


def _lines_with_tokens(path):
    with path.open("rb") as file:
        tokens = [t for t in tokenize.tokenize(file.readline) if t.type not in LAYOUT]
    return {line for t in tokens for line in range(t.start[0], t.end[0] + 1)}


def _docstring_lines(tree):
    lines = set()
    for node in ast.walk(tree):
        documented = isinstance(node, (ast.Module, ast.ClassDef, *FUNCTIONS))
        if documented and ast.get_docstring(node, clean=False) is not None:
            lines |= set(range(node.body[0].lineno, node.body[0].end_lineno + 1))
    return lines


def read(root):
    return [Source(path, root) for path in sorted(root.rglob("*.py"))]


# What imports what -----------------------------------------------------------------------------


def import_order(sources, package):
    """The files that each file imports, itself or through others.

    Of ``from .folder import name`` the file is that of ``name``, or else ``folder/__init__.py``.
    That a file's own folder is imported before it does not count: else all would import all.
    """
    names = {source.name for source in sources}
    direct = {source.name: set(_imported(source, names, package)) for source in sources}
    reached = {}
    for name in names:
        found, ahead = set(), [name]
        while ahead:
            new = direct[ahead.pop()] - found
            found |= new
            ahead += new
        reached[name] = found
    return reached


def _imported(source, names, package):
    for node in _outside_functions(source.tree):
        if isinstance(node, ast.Import):
            modules = [alias.name.split(".") for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = [package, *source.name.split("/")][: -node.level] if node.level else []
            base = base + (node.module.split(".") if node.module else [])
            modules = [[*base, alias.name] for alias in node.names]
        else:
            continue
        for module in modules:
            # A name that is no file of its own stands in the module before it.
            files = [_file(part, names) for part in (module, module[:-1]) if part[:1] == [package]]
            yield from [file for file in files if file][:1]


def _outside_functions(tree):
    ahead = [tree]
    while ahead:
        node = ahead.pop()
        yield node
        if not isinstance(node, (*FUNCTIONS, ast.Lambda)):
            ahead += ast.iter_child_nodes(node)


def _file(module, names):
    path = "/".join(module[1:])
    return next((f for f in (f"{path}.py", f"{path}/__init__.py".lstrip("/")) if f in names), None)


# What is called --------------------------------------------------------------------------------


class Way:
    """Follows the calls of functions of the package; to be passed to `sys.setprofile`."""

    def __init__(self, root, reached):
        self.root, self.reached = root, reached
        self.files, self.switches, self.across = set(), 0, Counter()
        self._last, self._names = None, {}

    def __call__(self, frame, event, arg):
        if event not in ("call", "return"):  # those of functions written in C
            return
        file = self._file(frame)
        if file is None:
            return
        self.files.add(file)
        self.switches += self._last not in (None, file)
        self._last = file
        if event == "call":
            caller = self._caller(frame)
            if caller not in (None, file):
                self.across[caller, file] += 1

    @property
    def climbs(self):
        """Pairs of the file of the caller and a higher one, and the numbers of their calls."""
        pairs = {(low, high): n for (low, high), n in self.across.items()
                 if low in self.reached[high] and high not in self.reached[low]}  # fmt: skip
        return Counter(pairs)

    def _file(self, frame):
        path = frame.f_code.co_filename
        if path not in self._names:
            inside = Path(path).is_relative_to(self.root)
            self._names[path] = Path(path).relative_to(self.root).as_posix() if inside else None
        return self._names[path]

    def _caller(self, frame):
        while (frame := frame.f_back) is not None:
            if (file := self._file(frame)) is not None:
                return file
        return None


def follow(function, root, reached):
    function()  # what is done once in a process, such as imports inside functions
    way = Way(root, reached)
    sys.setprofile(way)
    try:
        function()
    finally:
        sys.setprofile(None)
    return way


def calls(skcae):
    """Pairs of a name and a function that makes the call."""
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(40, 8, 8)), np.arange(40) % 4
    wanted = {
        "ConvAutoencoder": "partial_fit transform reconstruct score_samples predict anomaly_map",
        "ConvVAE": "score_samples log_likelihood",
        "ConditionalConvVAE": "label_posterior",
    }
    for kind, methods in wanted.items():
        make = partial(getattr(skcae, kind), max_epochs=1, device="cpu", random_state=0)
        if kind != "ConditionalConvVAE":
            yield f"{kind}.fit", lambda make=make: make().fit(X)
        estimator = make().fit(X, y)
        for method in methods.split():
            yield f"{kind}.{method}", partial(getattr(estimator, method), X)


# Tables ----------------------------------------------------------------------------------------


def table(head, rows):
    print(f"| {' | '.join(head)} |\n|{'---|' * len(head)}")
    for row in rows:
        print(f"| {' | '.join(map(str, row))} |")
    print(flush=True)


def listed(pairs, n):
    """The pairs of a name and a number with the ``n`` largest numbers, as text."""
    largest = sorted(pairs, key=lambda pair: -pair[1])[:n]
    return ", ".join(f"`{name}` {number}" for name, number in largest)


def written(sources, reached):
    functions = [pair for source in sources for pair in source.functions()]
    classes = [pair for source in sources for pair in source.classes()]
    lengths = [n for _, n in functions]
    table(
        ("what is written", ""),
        [
            ("python files", len(sources)),
            ("lines", sum(source.n_lines for source in sources)),
            ("lines of code", sum(len(source.code) for source in sources)),
            ("largest files, lines", listed([(s.name, s.n_lines) for s in sources], 5)),
            ("files in cycles of imports", sum(name in reached[name] for name in reached)),
            ("largest classes, functions in the body", listed(classes, 2)),
            ("functions", len(functions)),
            ("lines of code of a function, median", f"{np.median(lengths):.0f}"),
            ("95th percentile", f"{np.percentile(lengths, 95):.0f}"),
            (f"functions of more than {LONG} lines of code", sum(n > LONG for n in lengths)),
            ("longest functions, lines of code", listed(functions, 6)),
        ],
    )


def parameters(skcae):
    kinds = [(name, getattr(skcae, name)) for name in ESTIMATORS]
    rows = [(f"`{name}`", len(inspect.signature(kind).parameters)) for name, kind in kinds]
    table(("estimator", "parameters of the constructor"), rows)


def called(skcae, root, reached):
    rows, climbs = [], Counter()
    for name, function in calls(skcae):
        way = follow(function, root, reached)
        climbs += way.climbs
        counts = way.switches, way.across.total(), way.climbs.total(), len(way.climbs)
        rows.append((f"`{name}`", len(way.files), *counts))
    table(("call", "files", "switches", "across", "climbs", "pairs"), rows)
    rows = [(f"`{low}`", f"`{high}`", n) for (low, high), n in climbs.most_common()]
    table(("climbs of all these calls, from", "to", "climbs"), rows)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--package", type=Path, help="folder of the package in a checkout")
    args = parser.parse_args()
    if args.package:
        sys.path.insert(0, str(args.package.resolve().parent))
    import skcae

    root = Path(skcae.__file__).parent
    if args.package and root.resolve() != args.package.resolve():
        parser.error(f"--package {args.package} is no folder of skcae")
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")  # one epoch of noise teaches nothing, and the package says so
    sources = read(root)
    reached = import_order(sources, root.name)
    written(sources, reached)
    parameters(skcae)
    called(skcae, root, reached)


if __name__ == "__main__":
    main()

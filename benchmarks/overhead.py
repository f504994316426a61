"""What the package costs around the arithmetic: small calls, scores, pickles, memory.

Run on the package that Python finds, and with ``--vs`` beside another checkout::

    python benchmarks/overhead.py             # or some of: start, construct, fit, stream, score,
                                              # joint, variational, pickled, memory
    python benchmarks/overhead.py --vs PATH   # PATH holds the folder skcae

Each part runs ``--repeats`` times in a process of its own; with ``--vs`` those of the two
checkouts run in turn, A B A B. A process gives one figure for a row, of a short call the median
of several after one that does not count. A row has the median of the figures and their range; with
``--vs`` also that of the ratios of the pairs, this over other. Figures are milliseconds unless a
row says otherwise. Calls that are not named otherwise are of a `ConvAutoencoder` with default
parameters; models that only have to score have seen one epoch.
"""

import argparse
import json
import os
import subprocess
import sys
import time
import warnings
from importlib import import_module
from pathlib import Path
from statistics import median

# No package here: the peak memory of a process counts that of the one that started it, too.

BASE = "torch", "skorch", "sklearn.base", "sklearn.cluster", "pandas", "scipy.stats"
KINDS = "ConvAutoencoder", "DenoisingConvAutoencoder", "ConvVAE", "ConditionalConvVAE"


def ms(function):
    """Milliseconds of one call."""
    started = time.perf_counter()
    function()
    return 1000 * (time.perf_counter() - started)


def often(function, n):
    """Median of ``n`` calls, after one that does not count."""
    return median([ms(function) for _ in range(n + 1)][1:])


def make(kind="ConvAutoencoder", **options):
    return getattr(import_module("skcae"), kind)(random_state=0, **options)


def digits():
    from sklearn.datasets import load_digits

    data = load_digits()
    return data.images, data.target


# Parts: each yields rows, a name and a figure ---------------------------------------------------


def start():
    for name in BASE:
        import_module(name)
    yield "import skcae, after what it stands on", ms(lambda: import_module("skcae"))


def construct():
    from sklearn.base import clone

    ae = make()
    yield "construction", often(type(ae), 1000)
    yield "`clone`", often(lambda: clone(ae), 1000)
    yield "`get_params`", often(ae.get_params, 1000)


def fit():
    X, y = digits()
    X, y = X[:32], y[:32]
    for kind in KINDS:
        labels = y if kind == "ConditionalConvVAE" else None
        model = make(kind, max_epochs=1)
        yield f"`{kind}.fit`, 32 rows, an epoch", often(lambda: model.fit(X, labels), 9)  # noqa: B023


def stream():
    X, _ = digits()

    def after_fit(score):
        ae = make(max_epochs=1, anomaly_score=score).fit(X)
        return ms(lambda: ae.partial_fit(X[:32]))

    def tenth(score):
        ae = make(anomaly_score=score)
        return [ms(lambda: ae.partial_fit(X[i : i + 32])) for i in range(0, 320, 32)][-1]  # noqa: B023

    for name, call in ("after a fit of 1797", after_fit), ("tenth call", tenth):
        for score in "loss", "joint":
            figure = median([call(score) for _ in range(4)][1:])
            yield f'`partial_fit`, 32 rows, {name}, "{score}"', figure


def score():
    X, _ = digits()
    ae = make(max_epochs=1).fit(X)
    for method in ae.transform, ae.score_samples, ae.predict:
        yield f"`{method.__name__}`, 1 row", often(lambda: method(X[:1]), 50)  # noqa: B023
        yield f"`{method.__name__}`, 1797 rows", often(lambda: method(X), 9)  # noqa: B023
    yield "`anomaly_map`, 100 rows", often(lambda: ae.anomaly_map(X[:100]), 15)


def joint():
    X, _ = digits()
    make(max_epochs=1).fit(X)  # what is done once in a process
    figures = {s: ms(lambda: make(anomaly_score=s).fit(X)) for s in ("loss", "joint")}  # noqa: B023
    for name, figure in figures.items():
        yield f'`fit`, 1797 rows, "{name}"', figure
    yield '"joint" / "loss", ratio', figures["joint"] / figures["loss"]


def variational():
    X, y = digits()
    # A fit scores what it has trained on, which takes seconds: few rows, and scores timed once.
    vae = make("ConvVAE", max_epochs=1).fit(X[:200])
    conditional = make("ConditionalConvVAE", max_epochs=1).fit(X[:200], y[:200])
    without, within = ms(lambda: vae.score_samples(X)), ms(lambda: conditional.score_samples(X))
    yield "`ConvVAE.score_samples`, 1797 rows", without
    yield "`ConditionalConvVAE.score_samples`, no labels, 10 classes", within
    yield "`ConditionalConvVAE` / `ConvVAE`, ratio", within / without
    pairs = often(lambda: conditional.interpolate(X[:5], X[5:10]), 15)
    yield "`ConditionalConvVAE.interpolate`, 5 pairs", pairs
    yield "`ConditionalConvVAE.traverse`, 1 row", often(lambda: conditional.traverse(X[:1]), 15)


def pickled():
    import pickle

    import numpy as np

    X = np.random.default_rng(0).random((500, 28, 28), dtype=np.float32)
    ae = make(max_epochs=1).fit(X)
    stored = pickle.dumps(ae)
    counts = ae.summary().loc["total", ["parameters", "statistics"]]
    weights = 4 * int(counts.sum())
    yield "`pickle.dumps`, 28 x 28", often(lambda: pickle.dumps(ae), 9)
    yield "`pickle.loads`", often(lambda: pickle.loads(stored), 9)
    yield "pickle, kB", len(stored) / 1000
    yield "weights and statistics, kB", weights / 1000
    yield "pickle / weights, ratio", len(stored) / weights


def memory():
    import resource

    import numpy as np

    X = np.random.default_rng(0).integers(0, 32, (60000, 28, 28), dtype=np.uint8)
    ae = make(hidden_channels=(4, 8), batch_size=1024, max_epochs=1)

    def peak():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6

    before = peak()
    ae.fit(X)
    yield "`fit` of a uint8 array of 47 MB, peak memory, MB", peak()
    yield "above that before the fit, MB", peak() - before


PARTS = start, construct, fit, stream, score, joint, variational, pickled, memory


# Processes and the table ------------------------------------------------------------------------


def child(part):
    """Print the rows of a part, and where the package was found."""
    warnings.simplefilter("ignore")  # an epoch teaches little, and the package says so
    rows = list(part()) if part else []
    import torch

    about = {"torch": torch.__version__, "threads": torch.get_num_threads()}
    about["file"] = import_module("skcae").__file__
    print(json.dumps({"rows": rows, **about}))


def run(part, folder):
    """What `child` prints, of a process that finds the package in the folder."""
    env = dict(os.environ)
    if folder is not None:
        paths = [str(folder), *filter(None, [env.get("PYTHONPATH")])]
        env["PYTHONPATH"] = os.pathsep.join(paths)
    command = [sys.executable, __file__, "--child", part]
    out = subprocess.run(command, capture_output=True, text=True, env=env)
    if out.returncode:
        raise SystemExit(out.stderr)
    found = json.loads(out.stdout.splitlines()[-1])
    if folder is not None and not Path(found["file"]).resolve().is_relative_to(folder):
        raise SystemExit(f"--vs {folder} holds no folder skcae")
    return found


def measure(part, folders, repeats):
    """Names of the rows, and for each folder and row the figures of all processes."""
    found = [[run(part, folder)["rows"] for folder in folders] for _ in range(repeats)]
    names = [name for name, _ in found[0][0]]
    figures = [[[rows[i][row][1] for rows in found] for row in range(len(names))]
               for i in range(len(folders))]  # fmt: skip
    return names, figures


def spread(figures):
    middle, low, high = (text(f(figures)) for f in (median, min, max))
    return middle if low == high else f"{middle} ({low}-{high})"


def text(figure):
    """Three digits, or all before the point."""
    return f"{figure:.0f}" if figure >= 100 else f"{figure:.3g}"


def print_part(part, folders, repeats):
    names, figures = measure(part, folders, repeats)
    for row, name in enumerate(names):
        each = [of_folder[row] for of_folder in figures]
        cells = [spread(one) for one in each]
        if len(each) == 2:
            cells.append(spread([a / b for a, b in zip(*each, strict=True)]))
        print(f"| {part} | {name} | {' | '.join(cells)} |", flush=True)


def main():
    names = [part.__name__ for part in PARTS]
    parser = argparse.ArgumentParser()
    parser.add_argument("what", nargs="*", metavar="part", help=", ".join(names))
    parser.add_argument("--vs", type=Path, help="another checkout, the folder that holds skcae")
    parser.add_argument("--repeats", type=int, default=3, help="processes for each part")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child is not None:
        child(dict(zip(names, PARTS, strict=True)).get(args.child))
        return
    if unknown := set(args.what) - set(names):
        parser.error(f"no part {', '.join(sorted(unknown))}; there are {', '.join(names)}")
    folders = [None] if args.vs is None else [None, args.vs.resolve()]
    about, *_ = [run("", folder) for folder in folders]  # writes the bytecode of both, too
    print(f"torch {about['torch']}, threads: {about['threads']}, processes for each part: "
          f"{args.repeats}; milliseconds, median (range)\n")  # fmt: skip
    head = ["this"] if args.vs is None else ["this", "other", "this / other"]
    print(f"| part | what | {' | '.join(head)} |\n|{'---|' * (2 + len(head))}", flush=True)
    for name in names:
        if not args.what or name in args.what:
            print_part(name, folders, args.repeats)


if __name__ == "__main__":
    main()

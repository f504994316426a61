"""Codes and reconstructions by the defaults, beside PCA and others, on many kinds of data.

Run with ``SKCAE_DATA`` set, or with internet; ``SKCAE_VARIED`` names a folder with more sets, each
a file ``name.npz`` with ``X`` and ``y``, and an ``index.json`` with the ``channel_axis`` and the
``n_components`` of each::

    python benchmarks/quality.py                                  # goes on where it stopped
    python benchmarks/quality.py --only coffee mnist-300 --models PCA ConvAutoencoder
    python benchmarks/quality.py --markdown                       # the tables alone

Small sets: five folds in a random order that the seed draws. MNIST and Fashion-MNIST: so many
random training images, judged on the 10 000 test images, or with ``--validate`` on the last 10 000
training images, which decisions about defaults have to use. Every number is a mean over the folds
of all seeds. ``mse``: error of reconstructed test data over that of PCA. ``5-NN``, ``linear``:
accuracy of 5 nearest neighbours and of logistic regression on the codes; ``linear-100`` with 100
labels. ``k-means``, ``nmi``: of the test codes in as many clusters as there are classes, under the
best matching. Codes are standardized for all but ``5-NN``. ``seconds`` are those of ``fit``. Rows
are kept in ``quality.csv``.

    python benchmarks/quality.py --alarms

trains detectors on 70 % of one class and judges them on the other 30 % and on the other classes,
for up to three classes of each set with 20 rows or more: AUROC of the default score beside four
other detectors by default; ``false`` and ``found`` are the shares that plain ``predict`` calls
outliers of the normal rows and of the others, ``ideal`` what a threshold would find that calls
just 5 % of these very normal rows outliers; ``ratio`` is the time of the fit over that with a
numeric ``contamination``, which does without a threshold for new rows. Rows are kept in
``alarms.csv``.
"""

import argparse
import json
import os
import sys
import time
import warnings
from functools import partial
from importlib import import_module
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.optimize import linear_sum_assignment
from sklearn.cluster import KMeans
from sklearn.datasets import load_breast_cancer, load_digits, load_wine
from sklearn.decomposition import NMF, PCA, KernelPCA
from sklearn.ensemble import IsolationForest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import confusion_matrix, normalized_mutual_info_score, roc_auc_score
from sklearn.model_selection import KFold
from sklearn.neighbors import KNeighborsClassifier, LocalOutlierFactor, NearestNeighbors
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from skcae import ConvAutoencoder, ConvVAE
from skcae.datasets import fetch_fashion_mnist, fetch_mnist

HERE = Path(__file__).parent
LARGE = {"mnist": fetch_mnist, "fashion": fetch_fashion_mnist}
SIZES = (100, 300, 1000, 10_000, 60_000)
TABULAR = {"wine": (load_wine, 4), "cancer": (load_breast_cancer, 8)}


# Data -------------------------------------------------------------------------------------------


def folds_of(name, seed, validate):
    """Training and test data of each fold, the code size and the channel axis."""
    if name.split("-")[0] in LARGE:
        yield load_large(name, seed, validate)
        return
    X, y, n_components, axis = load_small(name)
    for train, test in KFold(5, shuffle=True, random_state=seed).split(X):
        parts = X[train], y[train], X[test], y[test]
        if name in TABULAR:  # features of different units
            scaler = StandardScaler().fit(parts[0])
            parts = scaler.transform(X[train]), y[train], scaler.transform(X[test]), y[test]
        yield *parts, n_components, axis


def load_large(name, seed, validate):
    name, size = name.split("-")
    X, y = LARGE[name]("train", return_X_y=True)
    X_test, y_test = LARGE[name]("test", return_X_y=True)
    if validate:
        X, y, X_test, y_test = X[:50_000], y[:50_000], X[50_000:], y[50_000:]
    kept = np.random.default_rng(seed).permutation(len(X))[: int(size)]
    X, X_test = (a.reshape(-1, 28, 28) / np.float32(255) for a in (X[kept], X_test))
    return X, y[kept], X_test, y_test, 16, None


def load_small(name):
    if name == "digits":
        return (load_digits().images / 16).astype(np.float32), load_digits().target, 16, None
    if name in TABULAR:
        load, n_components = TABULAR[name]
        return *load(return_X_y=True), n_components, None
    folder = Path(os.environ["SKCAE_VARIED"])
    entry = json.loads((folder / "index.json").read_text())[name]
    data = np.load(folder / f"{name}.npz")
    return data["X"], data["y"], entry["n_components"], entry["channel_axis"]


def names_of_data():
    names = ["digits", *TABULAR]
    if "SKCAE_VARIED" in os.environ:
        names += json.loads((Path(os.environ["SKCAE_VARIED"]) / "index.json").read_text())
    return names + [f"{name}-{size}" for size in SIZES for name in LARGE]


# Models -----------------------------------------------------------------------------------------


def flat(model):
    return make_pipeline(
        FunctionTransformer(lambda X: X.reshape(len(X), -1), validate=False), model
    )


class Identity(FunctionTransformer):
    """The values themselves."""

    def inverse_transform(self, X):
        return X


class ShiftedNMF(NMF):
    """NMF of data whose smallest training value is moved to zero."""

    def fit(self, X, y=None):
        self.low_ = X.min()
        super().fit(X - self.low_)
        return self

    def transform(self, X):
        return super().transform(np.maximum(X - self.low_, 0))

    def inverse_transform(self, Z):
        return super().inverse_transform(Z) + self.low_


def make_seed(module, k, axis, seed):
    """A network of the seeds with a code of another size."""
    sys.path.insert(0, str(HERE.parent / "examples" / "seeds"))
    try:
        return import_module(module).make_estimator(n_components=k, random_state=seed)
    finally:
        sys.path.pop(0)


MODELS = {
    "PCA": lambda k, axis, seed: flat(PCA(k, random_state=seed)),
    "raw": lambda k, axis, seed: flat(Identity()),
    "KernelPCA": lambda k, axis, seed: flat(
        KernelPCA(k, kernel="rbf", fit_inverse_transform=True, random_state=seed)
    ),
    "NMF": lambda k, axis, seed: flat(
        ShiftedNMF(k, init="nndsvda", max_iter=300, tol=1e-3, random_state=seed)
    ),
    "ConvAutoencoder": lambda k, axis, seed: ConvAutoencoder(
        k, channel_axis=axis, random_state=seed
    ),
    "no linear path": lambda k, axis, seed: ConvAutoencoder(
        k, channel_axis=axis, random_state=seed, net_params={"module__linear_path": False}
    ),
    "ConvVAE": lambda k, axis, seed: ConvVAE(k, channel_axis=axis, random_state=seed),
}
# The networks of examples/seeds whose code is a vector, for images of 28 x 28.
SEEDS = ("batchnorm_autoencoder", "fashion_autoencoder", "dcec_autoencoder", "simple_autoencoder")
for module in SEEDS:
    MODELS[module] = partial(make_seed, module)


# Measures ---------------------------------------------------------------------------------------


def accuracy_of_clusters(y, clusters):
    table = confusion_matrix(y, clusters)
    rows, columns = linear_sum_assignment(-table)
    return table[rows, columns].sum() / len(y)


def measure(model, X, y, X_test, y_test, seed):
    started = time.perf_counter()
    model.fit(X)
    seconds = time.perf_counter() - started
    Z, Z_test = model.transform(X), model.transform(X_test)
    last = model[-1] if hasattr(model, "steps") else model
    error = np.mean((last.inverse_transform(Z_test).reshape(X_test.shape) - X_test) ** 2)
    linear = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))
    few = np.random.default_rng(seed).permutation(len(Z))[:100]
    y = np.unique(np.concatenate([y, y_test]), return_inverse=True)[1]
    y, y_test = y[: len(Z)], y[len(Z) :]
    kmeans = KMeans(len(np.unique(y)), n_init=10, random_state=seed)
    clusters = kmeans.fit(StandardScaler().fit_transform(Z_test)).labels_
    return {
        "error": error,
        "5-NN": KNeighborsClassifier(5).fit(Z, y).score(Z_test, y_test),
        "linear": linear.fit(Z, y).score(Z_test, y_test),
        "linear-100": linear.fit(Z[few], y[few]).score(Z_test, y_test),
        "k-means": accuracy_of_clusters(y_test, clusters),
        "nmi": normalized_mutual_info_score(y_test, clusters),
        "seconds": seconds,
    }


# Alarms -----------------------------------------------------------------------------------------

N_CLASSES, N_OTHERS, LEAST, RATE = 3, 300, 20, 0.05


def one_class(name, seed):
    """Training rows of a class, test rows of it, rows of others, code size and channel axis."""
    if name.split("-")[0] in LARGE:
        X, y, *_, n_components, axis = load_large(name, seed, True)
    else:
        X, y, n_components, axis = load_small(name)
    rng = np.random.default_rng(seed)
    labels, counts = np.unique(y, return_counts=True)
    for label in rng.permutation(labels[counts >= LEAST])[:N_CLASSES]:
        own, others = (rng.permutation(np.flatnonzero(y == label)), np.flatnonzero(y != label))
        n = round(0.7 * len(own))
        train, test, odd = (X[i] for i in (own[:n], own[n:], rng.permutation(others)[:N_OTHERS]))
        if name in TABULAR:
            scaler = StandardScaler().fit(train)
            train, test, odd = (scaler.transform(part) for part in (train, test, odd))
        yield label, train, test, odd, min(n_components, n), axis


def detect(train, test, odd, k, axis, seed):
    """AUROC of the defaults and of four others, and the alarms of plain ``predict``."""
    started = time.process_time()
    ConvAutoencoder(k, channel_axis=axis, contamination=RATE, random_state=seed).fit(train)
    plain = time.process_time() - started
    ae = ConvAutoencoder(k, channel_axis=axis, random_state=seed).fit(train)
    ratio = (time.process_time() - started - plain) / plain
    normal, abnormal = ae.score_samples(test), ae.score_samples(odd)
    new, truth = np.concatenate([test, odd]), np.repeat([0, 1], [len(test), len(odd)])
    rows, flat_new = (x.reshape(len(x), -1) for x in (train, new))
    pca = PCA(min(k, len(rows) - 1), random_state=seed).fit(rows)
    residuals = flat_new - pca.inverse_transform(pca.transform(flat_new))
    near = NearestNeighbors(n_neighbors=min(5, len(rows))).fit(rows)
    lof = LocalOutlierFactor(min(20, len(rows) - 1), novelty=True).fit(rows)
    forest = IsolationForest(random_state=seed).fit(rows)
    called = lof.predict(flat_new) < 0
    return {
        "default": roc_auc_score(truth, -np.concatenate([normal, abnormal])),
        "PCA error": roc_auc_score(truth, (residuals**2).sum(1)),
        "5-NN": roc_auc_score(truth, near.kneighbors(flat_new)[0].mean(1)),
        "IsolationForest": roc_auc_score(truth, -forest.score_samples(flat_new)),
        "LOF": roc_auc_score(truth, -lof.score_samples(flat_new)),
        "false": (normal < ae.offset_).mean(),
        "found": (abnormal < ae.offset_).mean(),
        "ideal": (abnormal < np.quantile(normal, RATE)).mean(),
        "LOF false": called[truth == 0].mean(),
        "LOF found": called[truth == 1].mean(),
        "ratio": ratio,
    }


def run_alarms(names, seeds, path):
    """Measure what the file does not hold yet, a line at a time."""
    rows = pd.read_csv(path).to_dict("records") if path.exists() else []
    done = {(row["data"], row["seed"]) for row in rows}
    for name in names:
        for seed in seeds:
            if (name, seed) in done:
                continue
            for label, *parts in one_class(name, seed):
                row = {"data": name, "seed": seed, "class": label, "n": len(parts[0])}
                rows.append(row | detect(*parts, seed))
            pd.DataFrame(rows).to_csv(path, index=False, float_format="%.6g")
            print(name, seed, f"{rows[-1]['false']:.3f} {rows[-1]['found']:.3f}", flush=True)


def table_of_alarms(path):
    """Means over classes and seeds, a set in each row, and over the sets."""
    table = pd.read_csv(path).drop(columns=["seed", "class"]).groupby("data", sort=False).mean()
    table.loc["mean"] = table.mean()
    head = ["data", *table.columns]
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for name, values in table.iterrows():
        cells = [f"{v:.0f}" if key == "n" else f"{v:.3f}" for key, v in values.items()]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


# Tables -----------------------------------------------------------------------------------------


def run(names, models, seeds, path, validate):
    """Measure what the file does not hold yet, a line at a time."""
    rows = pd.read_csv(path).to_dict("records") if path.exists() else []
    done = {(row["data"], row["model"], row["seed"]) for row in rows}
    for name in names:
        for seed in seeds:
            for label in models:
                unfit = (label == "KernelPCA" and "0000" in name) or (
                    label in SEEDS and name.split("-")[0] not in LARGE
                )
                if unfit or (name, label, seed) in done:
                    continue
                for fold, (*parts, k, axis) in enumerate(folds_of(name, seed, validate)):
                    k_fold = min(k, len(parts[0]))
                    row = measure(MODELS[label](k_fold, axis, seed), *parts, seed)
                    rows.append({"data": name, "model": label, "seed": seed, "fold": fold, **row})
                pd.DataFrame(rows).to_csv(path, index=False, float_format="%.6g")
                print(name, label, seed, f"{row['error']:.4g}", flush=True)


def tables(path):
    rows = pd.read_csv(path)
    keys = ["data", "seed", "fold"]
    pca = rows[rows["model"] == "PCA"].set_index(keys)["error"]
    rows["mse"] = rows["error"] / rows.set_index(keys).index.map(pca)
    text = []
    for column in ("mse", "5-NN", "linear", "linear-100", "k-means", "nmi", "seconds"):
        table = rows.pivot_table(column, "data", "model", sort=False)
        order = [name for name in MODELS if name in table]
        table = table[order]
        digits = 1 if column == "seconds" else 3
        lines = [f"| {column} | {' | '.join(order)} |", "|---" * (len(order) + 1) + "|"]
        for name, values in table.iterrows():
            cells = ["" if np.isnan(v) else f"{v:.{digits}f}" for v in values]
            lines.append(f"| {name} | {' | '.join(cells)} |")
        text.append("\n".join(lines))
    return "\n\n".join(text)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--only", nargs="+", default=None)
    parser.add_argument("--models", nargs="+", default=list(MODELS), choices=list(MODELS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--rows", type=Path, default=None)
    parser.add_argument("--alarms", action="store_true")
    parser.add_argument("--validate", action="store_true")
    parser.add_argument("--markdown", action="store_true")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    file = arguments.rows or HERE / ("alarms.csv" if arguments.alarms else "quality.csv")
    names = arguments.only or names_of_data()
    if arguments.alarms:
        if not arguments.markdown:
            run_alarms(names, arguments.seeds, file)
        print(table_of_alarms(file))
    else:
        if not arguments.markdown:
            run(names, arguments.models, arguments.seeds, file, arguments.validate)
        print(tables(file))

"""One-class detection on MNIST and Fashion-MNIST, beside other detectors.

Run with ``SKCAE_DATA`` set, or with internet; ``pip install pyod`` for its rows::

    python benchmarks/one_class.py auroc      # or: calibration, trimming, svdd, maps, speed

Protocol: one class is normal; all its training images, no anomalies; the 10 000 test images; raw
pixels in [0, 1]; the last epoch; nothing selected on test data. AUROC in percent, of 1 for images
of other classes. ``auroc``: mean over the ten classes and the seeds; all scores of a row of ours
come from one fit. ``calibration``: shares of false alarms on 1000 images of the normal class that
were taken at random from its training and test images before fitting. ``trimming``: a tenth of
the training images is of other classes; beside ``trim_fraction=0.15`` a fit with 0.1, without the
quarter of the images that an ``IsolationForest`` finds most unusual. ``svdd``: the contrast
normalization and the network of Ruff et al. (2018), unclipped. ``maps``: a bright patch on test
digits, found value by value. ``speed``: scoring 10 000 images. The tables are kept in
``one_class.md``.
"""

import argparse
import time
from itertools import chain, product
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import torch
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import NearestNeighbors
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, MinMaxScaler
from torch import nn

from skcae import ConvAutoencoder
from skcae.datasets import fetch_fashion_mnist, fetch_mnist
from skcae.scores import SCORES, Mixture

DATA = {"mnist": fetch_mnist, "fashion-mnist": fetch_fashion_mnist}
RATES = (0.01, 0.05, 0.1)
# Of dirty training data: nothing, trimming, or trimming of what an IsolationForest leaves.
REMEDIES = ("none", "trim_fraction", "forest")


def make_estimator(**overrides):
    """The one configuration of the tables, for both data sets."""
    return ConvAutoencoder(
        n_components=32,
        activation="silu",
        normalization=None,
        learning_rate=2e-3,
        max_epochs=15,
        precision="bfloat16",
        net_params={"module__decoder_channels": (32,)},
        random_state=0,
    ).set_params(**overrides)


def load(name, digit, subset):
    """Images in [0, 1], and whether each is of another class."""
    data = DATA[name](subset)
    return data.images / np.float32(255), data.target != digit


def normal(name, digit):
    images, other = load(name, digit, "train")
    return images[~other]


def auc(other, unusual):
    return 100 * roc_auc_score(other, unusual)


def ours(X, T, seed):
    """How unusual each score finds the test images, from one fit."""
    ae = make_estimator(random_state=seed)
    started = time.perf_counter()
    scores = {"joint": -ae.fit(X).score_samples(T)}
    seconds = time.perf_counter() - started
    for name in SCORES.keys() - {"joint"}:
        ae.net_.score = SCORES[name]
        ae.net_.learn_reference(flat(X))
        scores[name] = -ae.score_samples(T)
    return scores, seconds


def others(X, T, seed):
    X, T = X.reshape(len(X), -1), T.reshape(len(T), -1)
    pca = PCA(32, random_state=seed).fit(X)
    errors = [((pca.inverse_transform(pca.transform(A)) - A) ** 2).mean(1) for A in (X, T)]
    features = [
        torch.from_numpy(np.column_stack([pca.transform(A), np.log(e)])).double()
        for A, e in zip((X, T), errors, strict=True)
    ]
    near = NearestNeighbors(n_neighbors=5).fit(X)
    return {
        "PCA, 32 components, error": errors[1],
        "PCA, mixture of 8 over (code, log error)": Mixture().fit(features[0])(features[1]),
        "5 nearest neighbours, pixels": near.kneighbors(T)[0].mean(1),
        "IsolationForest": -IsolationForest(random_state=seed).fit(X).score_samples(T),
        "PyOD AutoEncoder": pyod(X, seed).decision_function(T),
        "PyOD AutoEncoder, no preprocessing": pyod(X, seed, False).decision_function(T),
    }


def pyod(X, seed, preprocessing=True):
    from pyod.models.auto_encoder import AutoEncoder

    model = AutoEncoder(preprocessing=preprocessing, random_state=seed, verbose=0)
    return model.fit(X)


def one_class(name, digit, seeds):
    torch.set_num_threads(1)
    X, (T, other) = normal(name, digit), load(name, digit, "test")
    rows, together = [], 0.0
    for seed in range(seeds):
        scores, seconds = ours(X, T, seed)
        together = together + scores["joint"]
        scores |= others(X, T, seed)
        rows += [
            {"data": name, "class": digit, "seed": seed, "row": row, "auc": auc(other, s)}
            for row, s in scores.items()
        ]
        rows.append({"data": name, "class": digit, "row": "seconds", "auc": seconds})
    mean = {"data": name, "class": digit, "row": f"joint, mean of {seeds} fits"}
    rows.append(mean | {"auc": auc(other, together)})
    print(name, digit, {r["row"]: round(r["auc"], 2) for r in rows[-9:]}, flush=True)
    return rows


def parallel(function, arguments):
    jobs = (joblib.delayed(function)(*a) for a in arguments)
    return pd.DataFrame(chain.from_iterable(joblib.Parallel(n_jobs=2)(jobs)))


def auroc(args):
    table = parallel(one_class, [(n, c, args.seeds) for n in args.data for c in args.classes])
    if args.out:
        table.to_csv(args.out, index=False)
    print(table.groupby(["row", "data"])["auc"].mean().unstack().round(2).to_string())
    classes = table[table["row"] == "joint"].groupby(["class", "data"])["auc"].mean()
    print(classes.unstack().round(1).T.to_string())


def false_alarms(name, digit, seed, n):
    torch.set_num_threads(1)
    parts = [load(name, digit, subset) for subset in ("train", "test")]
    images = np.concatenate([X[~other] for X, other in parts])
    images = images[np.random.default_rng(seed).permutation(len(images))]
    new, X = images[:1000], images[1000:][:n]
    ae = make_estimator(calibration=0.2 if n is None else 10, random_state=seed).fit(X)
    p = ae.p_values(new)
    low = np.quantile(ae.score_samples(X), RATES)
    drift = ae.drift_test(new)[1]
    result = {"data": name, "n": n or "all", "drift": drift, "drift < .05": drift < 0.05}
    for rate, threshold in zip(RATES, low, strict=True):
        result[f"conformal {rate}"] = (p <= rate).mean()
        result[f"in sample {rate}"] = (ae.score_samples(new) < threshold).mean()
    print(name, digit, seed, result, flush=True)
    return [result]


def calibration(args):
    cases = [(d, c, s) for d in args.data for c in args.classes for s in range(args.seeds)]
    table = parallel(false_alarms, [(*case, n) for case in cases for n in (300, None)])
    print((100 * table.groupby(["data", "n"]).mean(numeric_only=True)).round(2).T.to_string())


def dirty(name, digit, seed):
    torch.set_num_threads(1)
    X, (T, other) = normal(name, digit), load(name, digit, "test")
    images, anomalous = load(name, digit, "train")
    chosen = np.random.default_rng(seed).choice(np.flatnonzero(anomalous), len(X) // 9, False)
    mixed = np.concatenate([X, images[chosen]])
    rows = []
    for (what, train), remedy in product((("clean", X), ("10 % anomalies", mixed)), REMEDIES):
        if remedy == "forest":
            forest = IsolationForest(contamination=0.25, random_state=seed)
            train = train[forest.fit_predict(flat(train)) > 0]
        trim = {"none": 0.0, "trim_fraction": 0.15, "forest": 0.1}[remedy]
        ae = make_estimator(trim_fraction=trim, random_state=seed).fit(train)
        error = ae.anomaly_map(T, standardize=False, sigma=0).mean((1, 2))
        row = {"data": name, "training data": what, "remedy": remedy}
        rows.append(row | {"joint": auc(other, -ae.score_samples(T)), "loss": auc(other, error)})
    print(
        name, digit, seed, [(round(r["joint"], 2), round(r["loss"], 2)) for r in rows], flush=True
    )
    return rows


def trimming(args):
    cases = [(d, c, s) for d in args.data for c in args.classes for s in range(args.seeds)]
    table = parallel(dirty, cases).groupby(["data", "training data", "remedy"]).mean()
    print(table.round(2).to_string())


def contrast(X):
    """Each image less its mean, over its mean absolute deviation (Ruff et al., 2018)."""
    centred = X - X.mean((1, 2), keepdims=True)
    return centred / np.abs(centred).mean((1, 2), keepdims=True)


def flat(X):
    return X.reshape(len(X), -1)


def make_svdd_pipeline(detector):
    """Contrast normalization, then one minimum and one maximum of the class, unclipped."""
    return make_pipeline(
        FunctionTransformer(contrast), FunctionTransformer(flat), _OneRange(), detector
    )


class _OneRange(MinMaxScaler):
    """One range for all features."""

    def fit(self, X, y=None):
        return super().fit(X.reshape(-1, 1))

    def transform(self, X):
        return super().transform(X.reshape(-1, 1)).reshape(X.shape)


class DCAE(nn.Module):
    """The network of Ruff et al. for MNIST; its sigmoid in the range of standardized data."""

    def __init__(self):
        super().__init__()

        def stage(conv, n, after):
            norm = nn.BatchNorm2d(n, eps=1e-4, affine=False)
            return [conv, norm, nn.LeakyReLU(), after]

        def up(n, m, padding):
            return nn.ConvTranspose2d(n, m, 5, padding=padding, bias=False)

        self.encoder = nn.Sequential(
            *stage(nn.Conv2d(1, 8, 5, padding=2, bias=False), 8, nn.MaxPool2d(2)),
            *stage(nn.Conv2d(8, 4, 5, padding=2, bias=False), 4, nn.MaxPool2d(2)),
            nn.Flatten(),
            nn.Linear(4 * 7 * 7, 32, bias=False),
        )
        self.decoder = nn.Sequential(
            nn.Unflatten(1, (2, 4, 4)),
            nn.LeakyReLU(),
            nn.Upsample(scale_factor=2),
            *stage(up(2, 4, 2), 4, nn.Upsample(scale_factor=2)),
            *stage(up(4, 8, 3), 8, nn.Upsample(scale_factor=2)),
            up(8, 1, 2),
            nn.Sigmoid(),
        )
        self.scale, self.shift = (nn.Parameter(torch.tensor(value)) for value in (5.0, -2.0))

    def encode(self, x):
        return self.encoder(x)

    def decode(self, z):
        return self.scale * self.decoder(z) + self.shift


def drop(t):
    """A tenth of the learning rate for the last 100 of 350 epochs."""
    return 1.0 if t < 250 / 350 else 0.1


def svdd(args):
    dcae = ConvAutoencoder(
        input_shape=(28, 28),
        module=DCAE,
        anomaly_score="loss",
        optimizer="adam",
        learning_rate=1e-4,
        lr_schedule=drop,
        max_epochs=350,
        batch_size=200,
        net_params={"optimizer__weight_decay": 5e-7},
        precision="float32",
    )
    detectors = {"DCAE": dcae, "make_estimator()": make_estimator(input_shape=(28, 28))}
    for digit in args.classes:
        X, (T, other) = normal("mnist", digit), load("mnist", digit, "test")
        for name, detector in detectors.items():
            for seed in range(args.seeds):
                pipe = make_svdd_pipeline(clone(detector).set_params(random_state=seed)).fit(X)
                found = auc(other, -pipe.score_samples(T))
                print(f"digit {digit}, {name}, random_state={seed}: {found:.2f}", flush=True)


def patched(X, rng):
    """A bright square of 6 x 6 at a random place on each image, and where it is."""
    X, truth = X.copy(), np.zeros(X.shape, bool)
    for i, (row, column) in enumerate(rng.integers(0, 23, (len(X), 2))):
        patch = np.s_[i, row : row + 6, column : column + 6]
        X[patch], truth[patch] = 1.0, True
    return X, truth


def maps(args):
    X, T = (DATA["mnist"](subset).images / np.float32(255) for subset in ("train", "test"))
    for seed in range(args.seeds):
        broken, truth = patched(T[:2000], np.random.default_rng(seed))
        for size in 32, 16:
            ae = make_estimator(n_components=size, random_state=seed, max_epochs=5).fit(X)
            for standardize, sigma in product((True, False), (0, 1, 2)):
                found = ae.anomaly_map(broken, standardize=standardize, sigma=sigma)
                share = auc(truth.ravel(), found.ravel())
                print(f"{seed} {size} {standardize=} {sigma=}: {share:.2f}", flush=True)
    if args.out:
        picture(ae, broken[:6], args.out)


def picture(ae, X, path):
    import matplotlib.pyplot as plt

    columns = {"input": X, "reconstruction": ae.reconstruct(X), "anomaly map": ae.anomaly_map(X)}
    figure, axes = plt.subplots(3, len(X), figsize=(1.4 * len(X), 4.6), layout="constrained")
    for line, (title, images) in zip(axes, columns.items(), strict=True):
        for axis, image in zip(line, images, strict=True):
            is_map = title == "anomaly map"
            shown = axis.imshow(
                image,
                cmap="magma" if is_map else "gray",
                vmin=0,
                vmax=images.max() if is_map else 1,
            )
            axis.set(xticks=[], yticks=[])
        line[0].set_ylabel(title)
        if title == "anomaly map":
            figure.colorbar(shown, ax=line, label="error / usual error")
    figure.savefig(path, dpi=150)


def speed(args):
    X, T = (DATA["mnist"](s).images.reshape(-1, 784) / np.float32(255) for s in ("train", "test"))
    X = X[:2000]
    ae = ConvAutoencoder(32, input_shape=(28, 28), hidden_channels=(), hidden_units=(64,),
                         anomaly_score="loss", max_epochs=1, random_state=0).fit(X)  # fmt: skip
    conv, peer, ratios = make_estimator(max_epochs=1).fit(X.reshape(-1, 28, 28)), pyod(X, 0), []
    for _ in range(args.repeats + 1):
        times = []
        for score in (lambda: peer.decision_function(T), lambda: ae.score_samples(T),
                      lambda: conv.score_samples(T.reshape(-1, 28, 28))):  # fmt: skip
            started = time.perf_counter()
            score()
            times.append(time.perf_counter() - started)
        ratios.append([*times, times[0] / times[1]])
    peer, dense, joint, ratio = np.median(ratios[1:], 0)
    print(f"PyOD {peer:.3f} s, dense network of its size {dense:.3f} s, ratio {ratio:.1f}; "
          f"make_estimator() {joint:.3f} s; {torch.get_num_threads()} threads")  # fmt: skip


def main():
    parser = argparse.ArgumentParser()
    parts = (auroc, calibration, trimming, svdd, maps, speed)
    parser.add_argument("what", choices=[part.__name__ for part in parts])
    parser.add_argument("--data", nargs="+", default=list(DATA), choices=list(DATA))
    parser.add_argument("--classes", nargs="+", type=int, default=list(range(10)))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    {part.__name__: part for part in parts}[args.what](args)


if __name__ == "__main__":
    main()

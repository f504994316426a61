"""The measurements behind the defaults: one parameter at a time, two data sets, three seeds.

Run with ``SKCAE_DATA`` set, or with internet::

    python benchmarks/defaults.py

Each row trains on 3000 images for 8 epochs and is judged on the 10 000 test images: mean squared
error of the reconstruction, accuracy of logistic regression and of 5 nearest neighbours on the
codes, and seconds of training. The table is kept in ``defaults.md``.
"""

import argparse
import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skcae import ConvAutoencoder
from skcae.datasets import fetch_fashion_mnist, fetch_mnist

VARIANTS = {
    "defaults": {},
    "upsampling=nearest": {"net_params": {"module__upsampling": "nearest"}},
    "activation=leaky_relu": {"activation": "leaky_relu"},
    "activation=silu": {"activation": "silu"},
    "normalization=group": {"normalization": "group"},
    "normalization=None": {"normalization": None},
    "learning_rate=2e-3": {"learning_rate": 2e-3},
    "learning_rate=8e-3": {"learning_rate": 8e-3},
    "learning_rate=8e-3, normalization=None": {"learning_rate": 8e-3, "normalization": None},
    "lr_schedule=constant": {"lr_schedule": "constant"},
    "precision=float32": {"precision": "float32"},
    "precision=bfloat16": {"precision": "bfloat16"},
}


def measure(fetch, variant, seed, n_samples):
    X, y = fetch("train", return_X_y=True)
    X_test, y_test = fetch("test", return_X_y=True)
    keep = np.random.default_rng(seed).choice(len(X), n_samples, replace=False)
    X, y, X_test = X[keep] / np.float32(255), y[keep], X_test / np.float32(255)
    ae = ConvAutoencoder(**{"max_epochs": 8, "random_state": seed, **variant})
    started = time.perf_counter()
    Z = ae.fit_transform(X)
    seconds = time.perf_counter() - started
    Z_test = ae.transform(X_test)
    linear = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)).fit(Z, y)
    near = KNeighborsClassifier(5).fit(Z, y)
    return {
        "mse": -ae.score(X_test),
        "logistic": linear.score(Z_test, y_test),
        "5-NN": near.score(Z_test, y_test),
        "seconds": seconds,
    }


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--samples", type=int, default=3000)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--only", nargs="*", default=list(VARIANTS), help="variants to measure")
    parser.add_argument("--output", type=Path, default=Path(__file__).with_suffix(".md"))
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    rows = []
    for name in args.only:
        for data, fetch in (("MNIST", fetch_mnist), ("Fashion-MNIST", fetch_fashion_mnist)):
            for seed in range(args.seeds):
                result = measure(fetch, VARIANTS[name], seed, args.samples)
                rows.append({"variant": name, "data": data, **result})
        table = pd.DataFrame(rows)
        summary = table.groupby(["variant", "data"], sort=False).agg(["mean", "std"])
        lines = [
            "| variant | data | mse | logistic | 5-NN | seconds |",
            "|---|---|---|---|---|---|",
        ]
        for (variant, data), row in summary.iterrows():
            cells = [
                f"{row[column]['mean']:.{digits}f} +- {row[column]['std']:.{digits}f}"
                for column, digits in (("mse", 5), ("logistic", 3), ("5-NN", 3), ("seconds", 1))
            ]
            lines.append(f"| {variant} | {data} | {' | '.join(cells)} |")
        args.output.write_text("\n".join(lines) + "\n")
        print("\n".join(lines[-2:]), flush=True)


if __name__ == "__main__":
    main()

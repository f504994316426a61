"""Codes and reconstructions beside PCA: 60 000 images of MNIST or Fashion-MNIST, 10 000 to test.

Run with ``SKCAE_DATA`` set, or with internet; ``--only`` picks rows::

    python benchmarks/mnist.py --only codes-16
    python benchmarks/mnist.py --only codes-16 --data fashion --recipe --epochs 10

``codes-k`` is the default estimator with a code of k numbers, judged by 5 nearest neighbours,
by logistic regression on the codes (standardized, as PCA's are), with all labels and with 100
(mean of five draws), and by k-means of the test codes in ten clusters. ``codes-160`` is judged by
its reconstruction, ``denoising`` by the restored test images under normal noise of standard
deviation 0.5, clipped to [0, 1]. ``--recipe`` is for many images: larger filters, a higher rate,
a narrow decoder. The last epoch counts; nothing is selected on test data. Rows are kept in
``mnist.md``.
"""

import argparse
import time

import numpy as np
import torch
from quality import LARGE, accuracy_of_clusters
from scipy.ndimage import uniform_filter
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skcae import ConvAutoencoder, DenoisingConvAutoencoder

RECIPE = {
    "kernel_size": 5,
    "learning_rate": 8e-3,
    "net_params": {"module__decoder_channels": (32, 16)},
}


def load(data):
    (X, y), (X_test, y_test) = (LARGE[data](s, return_X_y=True) for s in ("train", "test"))
    return (
        X.reshape(-1, 784) / np.float32(255),
        y,
        X_test.reshape(-1, 784) / np.float32(255),
        y_test,
    )


def codes(data, k, **parameters):
    X, y, X_test, y_test = load(data)
    ae = ConvAutoencoder(k, input_shape=(28, 28), random_state=0, **parameters)
    pca = PCA(k, svd_solver="covariance_eigh")
    for name, model in ((f"PCA-{k}", pca), (f"ConvAutoencoder({k})", ae)):
        started = time.perf_counter()
        Z, Z_test = model.fit_transform(X), model.transform(X_test)
        minutes = (time.perf_counter() - started) / 60
        mse = np.mean((model.inverse_transform(Z_test) - X_test) ** 2)
        near = KNeighborsClassifier(5).fit(Z, y).score(Z_test, y_test)
        linear = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))
        few = [np.random.default_rng(seed).permutation(len(Z))[:100] for seed in range(5)]
        clusters = KMeans(10, n_init=10, random_state=0).fit_predict(Z_test)
        report(
            f"{data} {name}",
            mse=mse,
            near=near,
            logistic=linear.fit(Z, y).score(Z_test, y_test),
            few=np.mean([linear.fit(Z[i], y[i]).score(Z_test, y_test) for i in few]),
            kmeans=accuracy_of_clusters(y_test, clusters),
            minutes=minutes,
        )


def reconstruction(data, k, **parameters):
    X, _, X_test, _ = load(data)
    started = time.perf_counter()
    ae = ConvAutoencoder(k, input_shape=(28, 28), random_state=0, **parameters).fit(X)
    minutes = (time.perf_counter() - started) / 60
    pca = PCA(k, svd_solver="covariance_eigh").fit(X)
    report(f"PCA-{k}", mse=np.mean((pca.inverse_transform(pca.transform(X_test)) - X_test) ** 2))
    report(f"ConvAutoencoder({k})", mse=-ae.score(X_test), minutes=minutes)


def ssim(a, b):
    """Mean structural similarity of images in [0, 1], 7 x 7 windows (Wang et al., 2004)."""
    size = (0, 7, 7)
    mean_a, mean_b = (uniform_filter(x, size) for x in (a, b))
    unbiased = 49 / 48
    var_a = unbiased * (uniform_filter(a * a, size) - mean_a**2)
    var_b = unbiased * (uniform_filter(b * b, size) - mean_b**2)
    cov = unbiased * (uniform_filter(a * b, size) - mean_a * mean_b)
    c1, c2 = 0.01**2, 0.03**2
    s = (2 * mean_a * mean_b + c1) * (2 * cov + c2)
    s /= (mean_a**2 + mean_b**2 + c1) * (var_a + var_b + c2)
    return float(s[:, 3:-3, 3:-3].mean())


def denoising(data, sigma=0.5, **parameters):
    X, _, X_test, _ = load(data)
    rng = np.random.default_rng(0)
    noisy = np.clip(X_test + sigma * rng.normal(size=X_test.shape), 0, 1).astype(np.float32)
    once = np.clip(X + sigma * rng.normal(size=X.shape), 0, 1).astype(np.float32)
    started = time.perf_counter()
    dae = DenoisingConvAutoencoder(
        64,
        input_shape=(28, 28),
        noise_level=sigma,
        clip_range=(0, 1),
        random_state=0,
        **parameters,
    ).fit(X)
    minutes = (time.perf_counter() - started) / 60
    ridge = Ridge(1.0).fit(once, X)
    for name, X_hat in (
        ("noisy", noisy),
        ("ridge regression", np.clip(ridge.predict(noisy), 0, 1)),
        ("DenoisingConvAutoencoder(64)", np.clip(dae.reconstruct(noisy), 0, 1)),
    ):
        a, b = (x.reshape(-1, 28, 28).astype(np.float64) for x in (X_test, X_hat))
        psnr = 10 * np.log10(1 / np.mean((a - b) ** 2))
        report(name, psnr=psnr, ssim=ssim(a, b), minutes=minutes if "Conv" in name else 0)


def report(name, **figures):
    cells = "  ".join(f"{key} {value:.5f}" for key, value in figures.items())
    print(f"{name:30s}  {cells}", flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument(
        "--only", nargs="*", default=["codes-2", "codes-10", "codes-16", "codes-160", "denoising"]
    )
    parser.add_argument("--data", choices=LARGE, default="mnist")
    parser.add_argument("--recipe", action="store_true")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--precision", default="float32")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    parameters = {"max_epochs": args.epochs, "precision": args.precision}
    parameters |= RECIPE if args.recipe else {}
    for job in args.only:
        if job == "denoising":
            denoising(args.data, **parameters)
        elif job == "codes-160":
            reconstruction(args.data, 160, **parameters)
        else:
            codes(args.data, int(job.removeprefix("codes-")), **parameters)


if __name__ == "__main__":
    main()

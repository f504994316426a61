"""Seed 001, denoising: noisy digits in, clean digits out, on MNIST.

Network
    As the pooled autoencoder, with 32, 32 and 16 filters; the code is a 4 x 4 x 16 map, 256
    values. 30 689 parameters.
Loss
    Cross-entropy of the clean pixels under a sigmoid.
Training
    Normal noise with standard deviation 0.5, clipped to [0, 1], fresh for every batch. Adam 1e-3,
    batches of 200, 100 epochs.
Result of the original
    Noisy test digits over their denoised versions; no number.
"""

import numpy as np

from skcae import DenoisingConvAutoencoder
from skcae.datasets import fetch_mnist
from skcae.plots import ReconstructionDisplay


def make_estimator(**overrides):
    """The autoencoder, for clean images of 28 x 28 in [0, 1]."""
    return DenoisingConvAutoencoder(
        n_components=None,
        hidden_channels=(32, 32, 16),
        kernel_size=3,
        activation="relu",
        normalization=None,
        corruption="gaussian",
        noise_level=0.5,
        clip_range=(0, 1),
        loss="binary_crossentropy",
        optimizer="adam",
        learning_rate=1e-3,
        lr_schedule="constant",
        max_epochs=100,
        batch_size=200,
        net_params={
            "module__downsampling": "max_pool",
            "module__upsampling": "nearest",
            "module__code_activation": "relu",
        },
        random_state=0,
    ).set_params(**overrides)


def decibels(X_hat, X):
    """Peak signal-to-noise ratio, averaged over the images."""
    return f"{np.mean(-10 * np.log10(np.mean((X_hat - X) ** 2, axis=(1, 2)))):.2f} dB"


def main():
    from _common import arguments, count, load, report, save

    args = arguments(__doc__, epochs=100)
    X, X_test, _ = load(fetch_mnist, args.samples)
    noise = np.random.default_rng(0).normal(scale=0.5, size=X_test.shape)
    noisy = np.clip(X_test + noise, 0, 1).astype(np.float32)
    ae = make_estimator(max_epochs=args.epochs, precision=args.precision, verbose=1).fit(X)
    report(
        ("", "seed 001", "here"),
        ("parameters", 30_689, count(ae)),
        ("epochs", 100, ae.n_iter_),
        ("signal-to-noise, noisy", "-", decibels(noisy, X_test)),
        ("signal-to-noise, denoised", "-", decibels(ae.reconstruct(noisy), X_test)),
    )
    display = ReconstructionDisplay.from_estimator(ae, noisy, clean=X_test)
    save(display.figure_, args.output / "001_denoising.png")


if __name__ == "__main__":
    main()

"""Seed 001, simple: a dense autoencoder with one hidden layer, on MNIST.

Network
    784 - 32 ReLU - 784. 50 992 parameters.
Loss
    Cross-entropy of the pixels under a sigmoid.
Training
    Adam 1e-3, batches of 200, 20 epochs.
Result of the original
    Ten test digits over their reconstructions; no number.
"""

import numpy as np

from skcae import ConvAutoencoder
from skcae.datasets import fetch_mnist
from skcae.plots import ReconstructionDisplay


def make_estimator(**overrides):
    """The autoencoder, for images of 28 x 28 in [0, 1]."""
    return ConvAutoencoder(
        n_components=32,
        hidden_channels=(),
        loss="binary_crossentropy",
        optimizer="adam",
        learning_rate=1e-3,
        lr_schedule="constant",
        max_epochs=20,
        batch_size=200,
        net_params={"module__code_activation": "relu"},
        random_state=0,
    ).set_params(**overrides)


def main():
    from _common import arguments, count, load, report, save

    args = arguments(__doc__, epochs=20)
    X, X_test, _ = load(fetch_mnist, args.samples)
    ae = make_estimator(max_epochs=args.epochs, precision=args.precision, verbose=1).fit(X)
    mse = np.mean((ae.reconstruct(X_test) - X_test) ** 2)
    report(
        ("", "seed 001", "here"),
        ("parameters", 50_992, count(ae)),
        ("epochs", 20, ae.n_iter_),
        ("cross-entropy a pixel, test", "-", f"{-ae.score(X_test):.5f}"),
        ("squared error a pixel, test", "-", f"{mse:.5f}"),
    )
    display = ReconstructionDisplay.from_estimator(ae, X_test)
    save(display.figure_, args.output / "001_simple.png")


if __name__ == "__main__":
    main()

"""Seed 003, cae: the autoencoder of deep convolutional embedded clustering, on MNIST.

Network
    Convolutions with stride 2 and ReLU: 5 x 5 with 32 filters, 5 x 5 with 64, and 3 x 3 without
    padding with 128, 28-14-7-3; a dense layer to a code of 10 values; the mirror of that with
    transposed convolutions. 275 979 parameters.
Loss
    Cross-entropy under a sigmoid, averaged over the pixels.
Training
    Adam 1e-3, batches of 128, 10 epochs.
Result of the original
    Reconstructions epoch by epoch as an animation; no number.

References
----------
Guo, X., Liu, X., Zhu, E. and Yin, J. (2017). Deep clustering with convolutional autoencoders.
International Conference on Neural Information Processing, 373-382.
"""

import numpy as np

from skcae import ConvAutoencoder
from skcae.datasets import fetch_mnist
from skcae.plots import ReconstructionDisplay, TrainingDisplay


def make_estimator(**overrides):
    """The autoencoder, for images of 28 x 28 in [0, 1]."""
    return ConvAutoencoder(
        n_components=10,
        hidden_channels=(32, 64, 128),
        kernel_size=(5, 5, 3),
        activation="relu",
        normalization=None,
        loss="binary_crossentropy",
        optimizer="adam",
        learning_rate=1e-3,
        lr_schedule="constant",
        max_epochs=10,
        batch_size=128,
        net_params={
            "module__padding": (2, 2, 0),
            "module__decoder_channels": (64, 32),
            "module__linear_path": False,
        },
        random_state=0,
    ).set_params(**overrides)


def main():
    from _common import arguments, count, load, report, save

    args = arguments(__doc__, epochs=10)
    X, X_test, _ = load(fetch_mnist, args.samples)
    ae = make_estimator(max_epochs=args.epochs, precision=args.precision, verbose=1)
    training = TrainingDisplay.from_estimator(ae, X, X_test=X_test[:10])
    ae = training.estimator_
    mse = np.mean((ae.reconstruct(X_test) - X_test) ** 2)
    report(
        ("", "seed 003", "here"),
        ("parameters", 275_979, count(ae)),
        ("epochs", 10, ae.n_iter_),
        ("cross-entropy a pixel, test", "-", f"{-ae.score(X_test):.5f}"),
        ("squared error a pixel, test", "-", f"{mse:.5f}"),
    )
    args.output.mkdir(parents=True, exist_ok=True)
    training.animate().save(args.output / "003_epochs.gif", writer="pillow")
    print(f"saved {args.output / '003_epochs.gif'}")
    display = ReconstructionDisplay.from_estimator(ae, X_test)
    save(display.figure_, args.output / "003_reconstructions.png")


if __name__ == "__main__":
    main()

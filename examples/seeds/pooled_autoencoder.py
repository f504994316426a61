"""Seed 001, convolutional: max pooling down, nearest-neighbour resizing up, on MNIST.

Resizing and then convolving leaves no checkerboard, which a transposed convolution does where its
kernels overlap unevenly. Both are choices of the network's ``upsampling``; the script trains all
three.

Network
    3 x 3 convolutions with ReLU and 16, 8 and 8 filters, a max pool after each, 28-14-7-4. The
    code is the last feature map, 4 x 4 x 8 = 128 values. Up to 7, 14 and 28, each with a
    convolution with 8, 8 and 16 filters; a convolution to the image. 4385 parameters.
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


def make_estimator(**overrides):
    """The autoencoder, for images of 28 x 28 in [0, 1]."""
    return ConvAutoencoder(
        n_components=None,
        hidden_channels=(16, 8, 8),
        kernel_size=3,
        activation="relu",
        normalization=None,
        loss="binary_crossentropy",
        optimizer="adam",
        learning_rate=1e-3,
        lr_schedule="constant",
        max_epochs=20,
        batch_size=200,
        net_params={
            "module__downsampling": "max_pool",
            "module__upsampling": "nearest",
            "module__code_activation": "relu",
        },
        random_state=0,
    ).set_params(**overrides)


def main():
    from _common import arguments, compare, count, load, report, save

    args = arguments(__doc__, epochs=20)
    X, X_test, _ = load(fetch_mnist, args.samples)
    rows, shown = [], {"original": X_test[:10]}
    for upsampling in ("nearest", "bilinear", "transpose"):
        ae = make_estimator(
            net__module__upsampling=upsampling,
            max_epochs=args.epochs,
            precision=args.precision,
            verbose=1,
        ).fit(X)
        X_hat = ae.reconstruct(X_test)
        mse = np.mean((X_hat - X_test) ** 2)
        shown[upsampling] = X_hat[:10]
        rows.append((upsampling, count(ae), ae.n_iter_, f"{-ae.score(X_test):.5f}", f"{mse:.5f}"))
    report(
        ("upsampling", "parameters", "epochs", "cross-entropy, test", "squared error, test"),
        ("seed 001 (nearest)", 4385, 20, "-", "-"),
        *rows,
    )
    save(compare(shown), args.output / "001_pooled.png")


if __name__ == "__main__":
    main()

"""Seed 003, cae2 and cae_tsne: no dense layer, the code is a map of 1 x 1, on MNIST.

Network
    Convolutions with ReLU: 5 x 5 with stride 2 and 32 filters, 5 x 5 with stride 2 and 64, 3 x 3
    with stride 2 without padding and 128, 28-14-7-3; a bare 3 x 3 convolution to a 1 x 1 map of 2
    or 10 channels, which is the code; the mirror of that with transposed convolutions. 256 515
    parameters with 2 channels, 274 955 with 10.
Loss
    Cross-entropy under a sigmoid, averaged over the pixels.
Training
    Adam 1e-3, batches of 128, 20 epochs (2 channels) or 14 (10 channels).
Result of the original
    The test codes by class, in their two dimensions or by t-SNE of the first 5000, and
    reconstructions; no number.
"""

from sklearn.neighbors import KNeighborsClassifier

from skcae import ConvAutoencoder
from skcae.datasets import fetch_mnist
from skcae.plots import LatentDisplay, ReconstructionDisplay

PARAMETERS = {2: 256_515, 10: 274_955}
EPOCHS = {2: 20, 10: 14}


def make_estimator(n_channels=2, **overrides):
    """The autoencoder with a code of ``n_channels`` values, for images of 28 x 28 in [0, 1]."""
    return ConvAutoencoder(
        n_components=None,
        hidden_channels=(32, 64, 128, n_channels),
        kernel_size=(5, 5, 3, 3),
        activation="relu",
        normalization=None,
        loss="binary_crossentropy",
        optimizer="adam",
        learning_rate=1e-3,
        lr_schedule="constant",
        max_epochs=EPOCHS.get(n_channels, 20),
        batch_size=128,
        net_params={
            "module__stride": (2, 2, 2, 1),
            "module__padding": (2, 2, 0, 0),
            "module__decoder_channels": (128, 64, 32),
        },
        random_state=0,
    ).set_params(**overrides)


def main():
    from _common import arguments, count, load, report, save

    args = arguments(__doc__, epochs=None)
    X, X_test, y_test = load(fetch_mnist, args.samples)
    rows = []
    for n_channels, n_parameters in PARAMETERS.items():
        epochs = args.epochs or EPOCHS[n_channels]
        ae = make_estimator(
            n_channels, max_epochs=epochs, precision=args.precision, verbose=1
        ).fit(X)
        # How well neighbours in the scatter plot share a class: fitted to one half of the test
        # codes, measured on the other.
        Z = ae.transform(X_test)
        neighbours = KNeighborsClassifier(5).fit(Z[::2], y_test[::2])
        rows += [
            (f"{n_channels} channels: parameters", n_parameters, count(ae)),
            (f"{n_channels} channels: epochs", EPOCHS[n_channels], ae.n_iter_),
            (f"{n_channels} channels: cross-entropy, test", "-", f"{-ae.score(X_test):.5f}"),
            (
                f"{n_channels} channels: 5 neighbours' accuracy",
                "-",
                f"{neighbours.score(Z[1::2], y_test[1::2]):.3f}",
            ),
        ]
        display = LatentDisplay.from_estimator(
            ae, X_test[:5000], y_test[:5000], projection="tsne", random_state=0
        )
        save(display.figure_, args.output / f"003_codes_{n_channels}.png")
        display = ReconstructionDisplay.from_estimator(ae, X_test)
        save(display.figure_, args.output / f"003_reconstructions_{n_channels}.png")
    report(("", "seed 003", "here"), *rows)


if __name__ == "__main__":
    main()

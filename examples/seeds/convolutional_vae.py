"""Seed 003, cvae: a fully convolutional variational autoencoder, a code of 10 values, on MNIST.

Network
    Convolutions with ReLU: 5 x 5 with stride 2 and 32 filters, 5 x 5 with stride 2 and 64, 3 x 3
    with stride 2 without padding and 128, 28-14-7-3; mean and log-variance from two 3 x 3
    convolutions to a 1 x 1 map of 10 channels; the mirror of that with transposed convolutions.
    286 485 parameters.
Loss
    The evidence lower bound with cross-entropy under a sigmoid, summed over the pixels.
Training
    Adam 1e-3, batches of 128, 20 epochs.
Result of the original
    Reconstructions and the t-SNE of the posterior means; no number.
"""

from sklearn.neighbors import KNeighborsClassifier

from skcae import ConvVAE
from skcae.datasets import fetch_mnist
from skcae.plots import LatentDisplay, ReconstructionDisplay


def make_estimator(**overrides):
    """The variational autoencoder, for images of 28 x 28 in [0, 1]."""
    return ConvVAE(
        n_components=None,
        hidden_channels=(32, 64, 128, 10),
        kernel_size=(5, 5, 3, 3),
        activation="relu",
        normalization=None,
        likelihood="bernoulli",
        optimizer="adam",
        learning_rate=1e-3,
        lr_schedule="constant",
        max_epochs=20,
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

    args = arguments(__doc__, epochs=20)
    X, X_test, y_test = load(fetch_mnist, args.samples)
    vae = make_estimator(max_epochs=args.epochs, precision=args.precision, verbose=1).fit(X)
    reconstruction, kl = vae.elbo(X_test, n_samples=10)
    Z = vae.transform(X_test)
    neighbours = KNeighborsClassifier(5).fit(Z[::2], y_test[::2])
    report(
        ("", "seed 003", "here"),
        ("parameters", 286_485, count(vae)),
        ("epochs", "-", vae.n_iter_),
        ("minus the bound, test", "-", f"{(kl - reconstruction).mean():.2f}"),
        ("divergence, test", "-", f"{kl.mean():.2f}"),
        ("active units", "-", str(vae.active_units_.sum())),
        ("5 neighbours' accuracy", "-", f"{neighbours.score(Z[1::2], y_test[1::2]):.3f}"),
    )
    display = LatentDisplay.from_estimator(
        vae, X_test[:5000], y_test[:5000], projection="tsne", random_state=0
    )
    save(display.figure_, args.output / "003_vae_codes.png")
    display = ReconstructionDisplay.from_estimator(vae, X_test)
    save(display.figure_, args.output / "003_vae_reconstructions.png")


if __name__ == "__main__":
    main()

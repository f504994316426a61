"""Seed 003, conditional: the label given to the decoder only, or to encoder and decoder, on MNIST.

Network
    That of ``convolutional_vae.py``. The one-hot label joins the code; in the variant "both" ten
    one-hot planes join the image too. 298 005 parameters with the label in the decoder only,
    306 005 with both.
Loss
    The evidence lower bound with cross-entropy under a sigmoid, summed over the pixels.
Training
    Adam 1e-3, batches of 128, 20 epochs.
Result of the original
    A 10 x 10 grid of samples, a column a class, for both variants; "both" looks better.

Here the comparison is measured: the accuracy of a classifier of real images, applied to samples of
known class, and the log-likelihood of the test images given their label.
"""

import numpy as np
from sklearn.neighbors import KNeighborsClassifier

from skcae import ConditionalConvVAE
from skcae.datasets import fetch_mnist
from skcae.plots import SampleGridDisplay

NETWORK = {
    "n_components": None,
    "hidden_channels": (32, 64, 128, 10),
    "kernel_size": (5, 5, 3, 3),
    "activation": "relu",
    "normalization": None,
    "likelihood": "bernoulli",
    "optimizer": "adam",
    "learning_rate": 1e-3,
    "lr_schedule": "constant",
    "max_epochs": 20,
    "batch_size": 128,
    "net_params": {
        "module__stride": (2, 2, 2, 1),
        "module__padding": (2, 2, 0, 0),
        "module__decoder_channels": (128, 64, 32),
    },
    "random_state": 0,
}
PARAMETERS = {"decoder": 298_005, "both": 306_005}


def make_estimator(condition="both", **overrides):
    """The conditional variational autoencoder, for images of 28 x 28 in [0, 1]."""
    return ConditionalConvVAE(condition=condition, **NETWORK).set_params(**overrides)


def main():
    from _common import arguments, count, load, report, save

    args = arguments(__doc__, epochs=20)
    X, X_test, y_test = load(fetch_mnist, args.samples)
    y = fetch_mnist("train").target[: args.samples]
    judge = KNeighborsClassifier(3).fit(X.reshape(len(X), -1), y)
    labels, table = np.tile(np.arange(10), 200), []
    for condition, n_parameters in PARAMETERS.items():
        vae = make_estimator(
            condition, max_epochs=args.epochs, precision=args.precision, verbose=1
        ).fit(X, y)
        samples = vae.sample(len(labels), y=labels, random_state=0)
        judged = judge.predict(samples.reshape(len(labels), -1))
        reconstruction, kl = vae.elbo(X_test, y_test, n_samples=10)
        posterior = vae.label_posterior(X_test[:2000])
        table += [
            (f"{condition}: parameters", n_parameters, count(vae)),
            (
                f"{condition}: samples judged as their label",
                "-",
                f"{(judged == labels).mean():.4f}",
            ),
            (f"{condition}: log p(x | y), test", "-", f"{vae.score(X_test, y_test):.2f}"),
            (f"{condition}: bound of it, test", "-", f"{(reconstruction - kl).mean():.2f}"),
            (
                f"{condition}: label posterior's accuracy",
                "-",
                f"{(posterior.argmax(1) == y_test[:2000]).mean():.4f}",
            ),
        ]
        grid = SampleGridDisplay.from_estimator(vae, n_rows=10, random_state=0)
        save(grid.figure_, args.output / f"003_{condition}.png")
    own = judge.score(X_test[:2000].reshape(2000, -1), y_test[:2000])
    report(("", "seed 003", "here"), *table, ("the judge on real images", "-", f"{own:.4f}"))


if __name__ == "__main__":
    main()

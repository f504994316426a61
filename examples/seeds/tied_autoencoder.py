"""Seed 000: a convolutional autoencoder whose decoder is the encoder's transpose, on MNIST.

The per-pixel mean of the training images is taken off; a step of a pipeline does that.

Network
    Three 3 x 3 convolutions with stride 2 and 10 filters, 28-14-7-4. The code is the last feature
    map, 4 x 4 x 10 = 160 values. The decoder applies the same three weight tensors, transposed,
    with biases of its own. Leaky ReLU (0.2) after every layer, the output too.
    1941 parameters; 521 with 5 filters.
Loss
    Sum of squared errors. The estimator averages over pixels, which for Adam is the same.
Training
    10 epochs of Adam. The original kept the rate at 0.01 with batches of 50; the one-cycle
    schedule up to 0.03 with batches of 20 ends lower.
Result of the original
    The loss of a batch of 50 after each epoch, from 470.65 to 270.76 (0.00691 a pixel), its chart,
    ten digits over their reconstructions, and the same with 5 filters, which is visibly noisier.
"""

from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skcae import ConvAutoencoder
from skcae.datasets import fetch_mnist
from skcae.plots import LossCurveDisplay


def make_estimator(n_filters=10, **overrides):
    """A pipeline of centring and autoencoder, for rows of 784 pixels."""
    autoencoder = ConvAutoencoder(
        n_components=None,
        input_shape=(28, 28),
        hidden_channels=(n_filters,) * 3,
        kernel_size=3,
        activation="leaky_relu",
        normalization=None,
        optimizer="adam",
        learning_rate=0.03,
        max_epochs=10,
        batch_size=20,
        net_params={
            "module__tied_weights": True,
            "module__code_activation": "leaky_relu",
            "module__output_activation": "leaky_relu",
        },
        random_state=0,
    )
    return make_pipeline(StandardScaler(with_std=False), autoencoder.set_params(**overrides))


def main():
    from _common import arguments, compare, count, load, report, save

    args = arguments(__doc__, epochs=10)
    X, X_test, _ = (array.reshape(len(array), -1) for array in load(fetch_mnist, args.samples))
    options = {"max_epochs": args.epochs, "precision": args.precision, "verbose": 1}
    ten = make_estimator(10, **options).fit(X)
    five = make_estimator(5, **options).fit(X)

    rows = []
    for name, n_parameters, batch_loss, pixel_loss, pipeline in (
        ("10 filters", 1941, "270.76", "0.00691", ten),
        ("5 filters", 521, "-", "-", five),
    ):
        ae = pipeline[-1]
        rows += [
            (f"{name}: parameters", n_parameters, count(ae)),
            (f"{name}: epochs", 10, ae.n_iter_),
            (f"{name}: loss of a batch of 50", batch_loss, f"{50 * 784 * ae.loss_curve_[-1]:.2f}"),
            (f"{name}: squared error a pixel, training", pixel_loss, f"{ae.loss_curve_[-1]:.5f}"),
            (f"{name}: squared error a pixel, test", "-", f"{-pipeline.score(X_test):.5f}"),
        ]
    report(("", "seed 000", "here"), *rows)

    shown = {"original": X_test[:10]}
    for name, pipeline in (("10 filters", ten), ("5 filters", five)):
        shown[name] = pipeline.inverse_transform(pipeline.transform(X_test[:10]))
    save(compare(shown), args.output / "000_reconstructions.png")
    display = LossCurveDisplay.from_estimator(ten, name="10 filters")
    LossCurveDisplay.from_estimator(five, name="5 filters", ax=display.ax_)
    save(display.figure_, args.output / "000_loss.png")


if __name__ == "__main__":
    main()

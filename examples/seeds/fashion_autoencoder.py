"""Seed 004: a code of two values, looked at before and after training, on Fashion-MNIST.

Network
    Two 5 x 5 convolutions without padding with ReLU and 16 and 8 filters, a max pool of 2 after
    each, 28-24-12-8-4; dense 64 ReLU; dense 2. The mirror of that with nearest-neighbour
    upsampling and transposed convolutions without padding. Encoder 12 010 and decoder 10 321,
    together 22 331 parameters.
Loss
    Cross-entropy of the pixels under a sigmoid.
Training
    RMSprop with a decay of 0.9, batches of 64, 10 epochs. Its rate follows one cycle up to 2e-3;
    that of the original was constant, 1e-3, which ends higher.
Result of the original
    The test codes by class before and after training, reconstructions of test images, training
    loss 0.3318.
"""

from skcae import ConvAutoencoder
from skcae.datasets import fetch_fashion_mnist
from skcae.plots import ReconstructionDisplay, TrainingDisplay


def make_estimator(**overrides):
    """The autoencoder, for images of 28 x 28 in [0, 1]."""
    return ConvAutoencoder(
        n_components=2,
        hidden_channels=(16, 8),
        hidden_units=(64,),
        kernel_size=5,
        activation="relu",
        normalization=None,
        loss="binary_crossentropy",
        optimizer="rmsprop",
        learning_rate=2e-3,
        max_epochs=10,
        batch_size=64,
        net_params={
            "module__downsampling": "max_pool",
            "module__upsampling": "nearest",
            "module__padding": 0,
            "module__decoder_channels": (8,),
            "module__linear_path": False,
            "optimizer__alpha": 0.9,
            "optimizer__eps": 1e-7,
        },
        random_state=0,
    ).set_params(**overrides)


def main():
    from _common import arguments, count, load, report, save

    args = arguments(__doc__, epochs=10)
    X, X_test, y_test = load(fetch_fashion_mnist, args.samples)
    ae = make_estimator(max_epochs=args.epochs, precision=args.precision, verbose=1)
    names = fetch_fashion_mnist("test").target_names
    training = TrainingDisplay.from_estimator(
        ae, X, X_test=X_test, y_test=y_test, target_names=names, kind="codes"
    )
    save(training.figure_, args.output / "004_codes.png")
    ae = training.estimator_
    report(
        ("", "seed 004", "here"),
        ("parameters", 22_331, count(ae)),
        ("epochs", 10, ae.n_iter_),
        ("cross-entropy a pixel, training", "0.3318", f"{ae.loss_curve_[-1]:.4f}"),
        ("cross-entropy a pixel, test", "-", f"{-ae.score(X_test):.4f}"),
    )
    display = ReconstructionDisplay.from_estimator(ae, X_test)
    save(display.figure_, args.output / "004_reconstructions.png")


if __name__ == "__main__":
    main()

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
from matplotlib import pyplot as plt
from matplotlib.animation import PillowWriter

from skcae import ConvAutoencoder
from skcae.datasets import fetch_mnist
from skcae.plots import ReconstructionDisplay


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


def animate(frames, X, path):
    """A GIF of reconstructions of ``X``, one frame an epoch; it rests on the last."""
    path.parent.mkdir(parents=True, exist_ok=True)
    figure, ax = plt.subplots(figsize=(9, 1.9), layout="constrained")
    writer = PillowWriter(fps=2)
    with writer.saving(figure, path, dpi=100):
        for epoch, X_hat in enumerate(frames, start=1):
            ax.clear()
            ReconstructionDisplay.from_predictions(X, X_hat, ax=ax)
            ax.set_title(f"epoch {epoch}")
            for _ in range(5 if epoch == len(frames) else 1):
                writer.grab_frame()
    plt.close(figure)
    print(f"saved {path}")


def main():
    from _common import arguments, count, load, report, save

    args = arguments(__doc__, epochs=10)
    X, X_test, _ = load(fetch_mnist, args.samples)
    ae = make_estimator(precision=args.precision)
    frames = []
    for epoch in range(1, args.epochs + 1):
        ae.partial_fit(X)
        frames.append(ae.reconstruct(X_test[:10]))
        print(f"epoch {epoch}  loss {ae.loss_curve_[-1]:.5f}", flush=True)
    mse = np.mean((ae.reconstruct(X_test) - X_test) ** 2)
    report(
        ("", "seed 003", "here"),
        ("parameters", 275_979, count(ae)),
        ("epochs", 10, ae.n_iter_),
        ("cross-entropy a pixel, test", "-", f"{-ae.score(X_test):.5f}"),
        ("squared error a pixel, test", "-", f"{mse:.5f}"),
    )
    animate(frames, X_test[:10], args.output / "003_epochs.gif")
    display = ReconstructionDisplay.from_estimator(ae, X_test)
    save(display.figure_, args.output / "003_reconstructions.png")


if __name__ == "__main__":
    main()

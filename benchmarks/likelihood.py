"""Variational autoencoders on MNIST: likelihood, codes, labels, speed.

Run with ``SKCAE_DATA`` set, or with internet::

    python benchmarks/likelihood.py likelihood      # or: codes, labels, speed
    python benchmarks/likelihood.py likelihood --data fashion

Protocol of the likelihood: 60 000 training images, whose pixels are set to 1 with the probability
of their grey value anew in every epoch; the 10 000 test images, binarized once with a fixed seed.
The last epoch is evaluated, nothing is selected on test data. The figures are the means of minus
the ELBO and of minus the importance-weighted estimate of ``log_likelihood`` with K draws an image.

``codes``: accuracy of 5 nearest neighbours on the posterior means. ``labels``: accuracy of the
most probable label by Bayes' rule. ``speed``: an epoch beside a plain loop with the same network.
The tables are kept in ``likelihood.md``.
"""

import argparse
import math
import time
from pathlib import Path

import joblib
import numpy as np
import torch
from quality import LARGE
from sklearn.neighbors import KNeighborsClassifier

from skcae import ConditionalConvVAE, ConvAutoencoder, ConvVAE
from skcae.datasets import fetch_mnist
from skcae.modules import VariationalAutoencoder


def make_estimator(**overrides):
    """The model of the table, for binary images of 28 x 28."""
    return ConvVAE(
        n_components=32,
        hidden_channels=(32, 64),
        hidden_units=(256,),
        activation="silu",
        likelihood="bernoulli",
        prior="gaussian_mixture",
        precision="bfloat16",
        batch_size=128,
        n_importance_samples=1,
        net_params={"module__decoder_channels": (32, 16)},
        random_state=0,
    ).set_params(**overrides)


def binarize(images, rng):
    """Each pixel is 1 with the probability of its grey value."""
    return rng.random(images.shape, dtype=np.float32) < images / np.float32(255)


def rate(epoch, n_epochs, highest):
    """One cycle: two epochs of warm-up, then a cosine to zero."""
    if epoch < 2:
        return highest * (epoch + 1) / 3
    return highest * (1 + math.cos(math.pi * (epoch - 2) / (n_epochs - 2))) / 2


def train(data, n_epochs, highest, seed, **overrides):
    images, rng = LARGE[data]("train").images, np.random.default_rng(seed)
    vae, started = make_estimator(random_state=seed, **overrides), time.perf_counter()
    for epoch in range(n_epochs):
        vae.set_params(learning_rate=rate(epoch, n_epochs, highest))
        vae.partial_fit(binarize(images, rng))
        minutes = (time.perf_counter() - started) / 60
        print(f"epoch {epoch + 1}  -ELBO {vae.loss_curve_[-1]:.2f}  {minutes:.1f} min", flush=True)
    return vae, minutes


def likelihood(args):
    minutes = math.nan
    if args.model and args.model.exists():
        vae = joblib.load(args.model)
    else:
        vae, minutes = train(
            args.data, args.epochs, args.rate, args.seed, precision=args.precision
        )
        if args.model:
            joblib.dump(vae, args.model)
    images = LARGE[args.data]("test").images
    test = binarize(images, np.random.default_rng(1))[slice(*args.images)]
    reconstruction, kl = vae.elbo(test, n_samples=10)
    print(f"test -ELBO {np.mean(kl - reconstruction):.2f}, KL {kl.mean():.2f}", flush=True)
    estimates, errors = [], []
    for start in range(0, len(test), 250):
        part = vae.log_likelihood(test[start : start + 250], args.draws, return_std=True)
        estimates.append(part[0])
        errors.append(part[1])
        nll, n = -np.concatenate(estimates), sum(map(len, estimates))
        spread = nll.std() / math.sqrt(n)
        print(
            f"{n} images: {nll.mean():.2f} +- {spread:.2f} nats; standard error of an image "
            f"{np.mean(np.concatenate(errors)):.3f}",
            flush=True,
        )
    print(
        f"{args.draws} draws, {vae.n_iter_} epochs, {minutes:.1f} min, active units "
        f"{vae.active_units_.sum()}"
    )


def grey(subset):
    return fetch_mnist(subset).images / np.float32(255), fetch_mnist(subset).target


def codes(args):
    (X, y), (X_test, y_test) = grey("train"), grey("test")
    for cls in ConvVAE, ConvAutoencoder:
        for seed in range(args.seeds):
            model = cls(10, max_epochs=args.epochs, precision="bfloat16", random_state=seed).fit(X)
            near = KNeighborsClassifier(5).fit(model.transform(X), y)
            accuracy = near.score(model.transform(X_test), y_test)
            print(f"{cls.__name__}, random_state={seed}: {accuracy:.4f}", flush=True)


def labels(args):
    (X, y), (X_test, y_test) = grey("train"), grey("test")
    for condition in "both", "decoder":
        model = ConditionalConvVAE(
            10,
            condition=condition,
            likelihood="bernoulli",
            max_epochs=args.epochs,
            precision="bfloat16",
            random_state=args.seed,
        ).fit(X, y)
        accuracy = (model.label_posterior(X_test).argmax(1) == y_test).mean()
        print(f"condition={condition!r}: {accuracy:.4f}", flush=True)


def plain_epoch(X):
    """Seconds of an epoch of the loop that one would write by hand."""
    network = VariationalAutoencoder(1, (28, 28), 16)
    optimizer = torch.optim.AdamW(network.parameters(), 1e-3, fused=True)
    x, loss = torch.from_numpy(X).reshape(-1, 1, 28, 28), torch.nn.functional
    started = time.perf_counter()
    for batch in torch.randperm(len(x)).split(128):
        target = x[batch]
        mean, logvar = network.encode(target)
        z = mean + torch.exp(0.5 * logvar) * torch.randn_like(mean)
        error = loss.binary_cross_entropy_with_logits(network.decode(z), target, reduction="sum")
        kl = 0.5 * (mean**2 + logvar.exp() - logvar - 1).sum()
        optimizer.zero_grad()
        ((error + kl) / len(target)).backward()
        optimizer.step()
    return time.perf_counter() - started


def our_epoch(X):
    vae = ConvVAE(input_shape=(28, 28), likelihood="bernoulli", batch_size=128, max_epochs=1).fit(
        X
    )
    return float(vae.history_["duration"].iloc[-1])


def speed(args):
    X = grey("test")[0].reshape(-1, 784)[:4000]
    pairs = np.array([(our_epoch(X), plain_epoch(X)) for _ in range(args.seeds + 1)])[1:]
    ratios = np.sort(pairs[:, 0] / pairs[:, 1])
    print(
        f"epoch / plain loop: {np.median(ratios):.3f} ({ratios[0]:.3f}-{ratios[-1]:.3f}), "
        f"{len(pairs)} pairs, {torch.get_num_threads()} threads"
    )


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=["likelihood", "codes", "labels", "speed"])
    parser.add_argument("--data", choices=LARGE, default="mnist", help="of likelihood")
    parser.add_argument("--precision", default="bfloat16", help="of likelihood's training")
    parser.add_argument("--epochs", type=int, default=45)
    parser.add_argument("--rate", type=float, default=4e-3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seeds", type=int, default=1, help="of codes; pairs of speed")
    parser.add_argument("--draws", type=int, default=5000)
    parser.add_argument(
        "--images",
        type=int,
        nargs=3,
        default=(0, 10_000, 1),
        help="test images: first, end, step",
    )
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--model", type=Path, help="train it, or read it where the file exists")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    {"likelihood": likelihood, "codes": codes, "labels": labels, "speed": speed}[args.what](args)


if __name__ == "__main__":
    main()

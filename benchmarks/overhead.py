"""What the estimator costs over a plain torch loop, and beside default skorch.

Run with ``SKCAE_DATA`` set, or with internet::

    python benchmarks/overhead.py

Every pair runs in turn, A B A B, in one process; the table, kept in ``overhead.md``, gives the
median of the ratios of the pairs. All training is in float32 with batches of 128 and fused Adam.
"""

import argparse
import sys
import time
from pathlib import Path

import numpy as np
import torch
from skorch import NeuralNet
from torch import nn

from skcae import ConvAutoencoder
from skcae.datasets import fetch_mnist
from skcae.modules import Autoencoder

SEED_002 = {"activation": "leaky_relu", "upsampling": "transpose", "activation_first": True}


class Empty(nn.Module):
    """One weight: what remains is the loop."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))

    def encode(self, x):
        return x.flatten(1) * self.weight

    def decode(self, z):
        return z.reshape(-1, 1, 28, 28)

    def forward(self, x):
        return self.decode(self.encode(x))


def seed_002():
    return Autoencoder(1, (28, 28), 16, **SEED_002)


def plain_epoch(build, X, memory_format=torch.contiguous_format):
    """Seconds of an epoch of the loop that one would write by hand."""
    network = build().to(memory_format=memory_format)
    optimizer = torch.optim.Adam(network.parameters(), 1e-3, fused=True)
    x = torch.from_numpy(X).reshape(-1, 1, 28, 28)
    started = time.perf_counter()
    for batch in torch.randperm(len(x)).split(128):
        target = x[batch]
        loss = nn.functional.mse_loss(network(target), target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return time.perf_counter() - started


def our_epoch(build, X):
    """Seconds of an epoch as the estimator trains; ``seed_002`` by its parameters."""
    options = {"upsampling": "transpose", "activation": "leaky_relu"}
    options |= {"net_params": {"module__activation_first": True}}
    ae = ConvAutoencoder(
        input_shape=(28, 28),
        optimizer="adam",
        batch_size=128,
        max_epochs=1,
        **(options if build is seed_002 else {"module": build}),
    ).fit(X)
    return float(ae.history_["duration"].iloc[-1])


def last_epoch(build, X):
    """The plain loop with the network in the memory layout that the estimator chooses."""
    return plain_epoch(build, X, torch.channels_last)


def skorch_epoch(build, X):
    net = NeuralNet(
        build(), nn.MSELoss, optimizer=torch.optim.Adam, optimizer__fused=True, lr=1e-3,
        batch_size=128, max_epochs=1, train_split=None, iterator_train__shuffle=True, verbose=0,
    )  # fmt: skip
    x = X.reshape(-1, 1, 28, 28)
    net.initialize()
    started = time.perf_counter()
    net.partial_fit(x, x)
    return time.perf_counter() - started


def forward_pass(network, X, size):
    x = torch.from_numpy(X).reshape(-1, 1, 28, 28)
    started = time.perf_counter()
    with torch.inference_mode():
        for batch in x.split(size):
            network(batch)
    return time.perf_counter() - started


def scoring(ae, X):
    started = time.perf_counter()
    ae.score_samples(X)
    return time.perf_counter() - started


def compare(name, limit, ours, theirs, repeats):
    """One row: medians of both and of the ratios of the pairs, after a pair not counted."""
    pairs = np.array([(ours(), theirs()) for _ in range(repeats + 1)])[1:]
    ratios = np.sort(pairs[:, 0] / pairs[:, 1])
    ms = 1000 * np.median(pairs, axis=0)
    spread = f"{np.median(ratios):.3f} ({ratios[0]:.3f}-{ratios[-1]:.3f})"
    row = f"| {name} | {ms[0]:.0f} | {ms[1]:.0f} | {spread} | {limit} |"
    print(row, flush=True)
    return row


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=4000, help="rows to train on")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--output", type=Path, default=Path(__file__).with_suffix(".md"))
    args = parser.parse_args()
    X = fetch_mnist("test").images.reshape(-1, 784) / np.float32(255)
    few, many = X[: args.rows], np.tile(X, (6, 1))
    ae = ConvAutoencoder(input_shape=(28, 28), module=seed_002, max_epochs=1).fit(few)
    network = ae.net_.module_
    rows = [
        f"torch {torch.__version__}, {torch.get_num_threads()} threads, Python "
        f"{sys.version.split()[0]}; {args.repeats} pairs, milliseconds.\n",
        "| what | skcae | other | ratio, median (range) | limit |\n|---|---|---|---|---|",
    ]
    jobs = [
        ("seed-002 network, epoch / plain loop", 1.05, our_epoch, plain_epoch, seed_002, few),
        ("seed-002 network, epoch / channels last", 1.05, our_epoch, last_epoch, seed_002, few),
        ("seed-002 network, epoch / default skorch", "", our_epoch, skorch_epoch, seed_002, few),
        ("empty network, epoch / plain loop", 1.15, our_epoch, plain_epoch, Empty, many),
        ("empty network, epoch / default skorch", "", our_epoch, skorch_epoch, Empty, many),
    ]  # fmt: skip
    for name, limit, ours, theirs, build, data in jobs:
        rows.append(
            compare(
                name,
                limit,
                lambda: ours(build, data),  # noqa: B023 - called in this turn
                lambda: theirs(build, data),  # noqa: B023
                args.repeats,
            )
        )
    for size in (64, 512):
        rows.append(
            compare(
                f"score_samples, 10 000 rows / forward pass by {size}",
                1.10,
                lambda: scoring(ae, X),
                lambda: forward_pass(network, X, size),  # noqa: B023
                args.repeats,
            )
        )
    args.output.write_text("\n".join(rows) + "\n")


if __name__ == "__main__":
    main()

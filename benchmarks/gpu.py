"""Training and inference on a CUDA device, beside the loops that one would write by hand.

One command prints the whole table, with ``SKCAE_DATA`` set or with internet::

    python benchmarks/gpu.py

The network is that of seed 002, with batches of 128, fused Adam and a rate of 1e-3, as in
``speed.py``; an epoch has all 60 000 images of MNIST. A row gives the median of the ratios of
pairs that run in turn, ours over theirs. ``--device cpu --rows 3000`` tries the script out.
"""

import argparse

import numpy as np
import torch
from speed import Plain, images, operations, ours, peak, row, say, skorch_epoch, timed
from torch.nn.functional import mse_loss

from skcae._net import _batches

# SIDE is that of the matrices whose product gives the peak.
BATCH, SIDE = 128, 8192 if torch.cuda.is_available() else 1024


def our_epoch(X, device, **options):
    """Seconds of the last of three epochs."""
    ae = ours(device=device, **options).set_params(max_epochs=3).fit(X)
    return float(ae.history_["duration"].iloc[-1])


def network_and_data(X, device):
    network = Plain().to(device, memory_format=torch.channels_last)
    return network, torch.from_numpy(X).reshape(-1, 1, 28, 28).to(device)


def plain_epoch(X, device, mixed):
    """A loop over data on the device, in eager mode."""
    network, x = network_and_data(X, device)
    optimizer = torch.optim.Adam(network.parameters(), 1e-3, fused=True)

    def epoch():
        for batch in torch.randperm(len(x), device=device).split(BATCH):
            with torch.autocast(device, torch.bfloat16, enabled=mixed):
                loss = mse_loss(network(x[batch]).float(), x[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    epoch()
    return timed(epoch, device)


def graph_epoch(X, device):
    """A loop whose whole step is one CUDA graph: PyTorch's recipe for capturing a network."""
    network, x = network_and_data(X, device)
    optimizer = torch.optim.Adam(network.parameters(), 1e-3, fused=True, capturable=True)
    batch = x[:BATCH].clone()

    def step():
        with torch.autocast(device, torch.bfloat16, cache_enabled=False):
            loss = mse_loss(network(batch).float(), batch)
        loss.backward()
        optimizer.step()

    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            optimizer.zero_grad()
            step()
    torch.cuda.current_stream().wait_stream(side)
    optimizer.zero_grad()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step()

    def epoch():
        for index in torch.randperm(len(x), device=device)[: len(x) // BATCH * BATCH].split(BATCH):
            batch.copy_(x[index])
            graph.replay()

    epoch()
    return timed(epoch, device)


def streamed_epoch(X, device):
    """With the data in the computer's memory, as when they do not fit on the device."""
    fits, _batches.fits_on_device = _batches.fits_on_device, lambda X, device: False
    try:
        return our_epoch(X, device)
    finally:
        _batches.fits_on_device = fits


def training(X, device, repeats):
    epochs = {}
    for name, options in {
        "auto": {},
        "float32": {"precision": "float32"},
        "auto, compiled": {"net__compile": True},
    }.items():
        mixed = device == "cuda" and name != "float32"
        ms = row(f"epoch, {name} / plain loop of the same precision", "",
                 lambda: our_epoch(X, device, **options),  # noqa: B023
                 lambda: plain_epoch(X, device, mixed), repeats)  # noqa: B023 # fmt: skip
        epochs[name] = ms[0] / 1000
    best = min(["auto", "auto, compiled"], key=epochs.get)
    options = {"net__compile": True} if "compiled" in best else {}
    row(f"epoch, {best} / default skorch", "1 / 10", lambda: our_epoch(X, device, **options),
        lambda: skorch_epoch(X, device=device), repeats)  # fmt: skip
    if device == "cuda":
        row(f"epoch, {best} / loop of CUDA graphs", "1 / 0.85",
            lambda: our_epoch(X, device, **options), lambda: graph_epoch(X, device),
            repeats)  # fmt: skip
    row("epoch, data streamed / on the device", "", lambda: streamed_epoch(X, device),
        lambda: our_epoch(X, device), repeats)  # fmt: skip
    cost = 3 * operations(Plain().eval(), (1, 28, 28)) * len(X)
    for name, dtype in ("float32", torch.float32), (best, torch.bfloat16):
        share = cost / epochs[name] / peak(dtype, SIDE, device)
        say(f"share of the peak, {name} of {dtype}: {share:.3f}")


def inference(X, device, repeats):
    ae = ours(device=device).fit(X[:2000])
    for method in ae.transform, ae.score_samples:
        seconds = np.median([timed(lambda: method(X)) for _ in range(repeats + 1)][1:])  # noqa: B023
        say(f"{method.__name__}: {len(X) / seconds:.0f} images a second")
    rate = operations(Plain().eval(), (1, 28, 28)) * len(X) / seconds
    say(f"share of the peak of float32: {rate / peak(torch.float32, SIDE, device):.3f}")
    host = torch.from_numpy(X.copy())
    if device == "cuda":
        host = host.pin_memory()
        copying = np.median([timed(lambda: host.to(device), device) for _ in range(9)])
        say(f"share of the rate of copies to the device: {copying / seconds:.3f}")


def agreement(X, device):
    """Greatest difference of the scores of a model fitted on the device and moved to the CPU."""
    ae = ours(device=device).fit(X[:6000])
    scores = ae.score_samples(X[:6000])
    state = ae.net_.__getstate__()
    state["arguments"]["device"] = "cpu"  # as loading does on a host without a device
    ae.net_ = type(ae.net_).__new__(type(ae.net_))
    ae.net_.__setstate__(state)
    difference = np.abs(ae.score_samples(X[:6000]) / scores - 1).max()
    say(f"scores on a CPU: relative difference of at most {difference:.1e}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--device", default="cuda", choices=["cuda", "cpu"])
    parser.add_argument("--rows", type=int, default=60000)
    parser.add_argument("--repeats", type=int, default=5)
    args = parser.parse_args()
    name = torch.cuda.get_device_name() if args.device == "cuda" else "cpu"
    say(f"torch {torch.__version__}, {name}, {args.repeats} pairs, milliseconds")
    say("| what | skcae | other | ratio, median (range) | limit |\n|---|---|---|---|---|")
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32  # as the convolutions
    X = images(args.rows)
    training(X, args.device, args.repeats)
    inference(X, args.device, args.repeats)
    agreement(X, args.device)


if __name__ == "__main__":
    main()

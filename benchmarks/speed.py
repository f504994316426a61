"""Training and inference beside plain torch, default skorch, Keras, PyOD and Pythae.

Run with ``SKCAE_DATA`` set, or with internet; a part whose package is missing is left out::

    python benchmarks/speed.py train      # or: empty, score, latency, pyod, keras, pythae, jobs,
                                          # torchrun, memory, stored, growth, start

Every pair runs in turn, A B A B, in one process; a row gives the median of the ratios of the
pairs, ours over theirs. Unless said otherwise the network is that of seed 002, with batches of
128, fused Adam and a rate of 1e-3. The "share of the peak" is the rate of the network's
multiplications and additions over that of a product of two large matrices on the same machine.
The table is kept in ``speed.md``.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import joblib
import numpy as np
import torch
from sklearn.model_selection import GridSearchCV
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from skcae import ConvAutoencoder, ConvVAE
from skcae.datasets import fetch_mnist
from skcae.modules import Autoencoder

SEED_002 = {"activation": "leaky_relu", "upsampling": "transpose", "activation_first": True}


class Plain(Autoencoder):
    """The network of seed 002 with torch's own layers only."""

    def __init__(self):
        super().__init__(1, (28, 28), 16, **SEED_002)
        for stage in self.decoder.stages[:2]:
            ours = stage[0]
            shape = ours.in_channels, ours.out_channels, 3, 2, 1, ours.output_padding
            stage[0] = nn.ConvTranspose2d(*shape)


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


def ours(precision="auto", **options):
    net_params = {"module__activation_first": True}
    options = {"activation": "leaky_relu", "net_params": net_params, **options}
    return ConvAutoencoder(
        input_shape=(28, 28), optimizer="adam", learning_rate=1e-3, lr_schedule="constant",
        batch_size=128, max_epochs=1, anomaly_score="loss", precision=precision, random_state=0,
    ).set_params(**options)  # fmt: skip


def our_epoch(X, **options):
    """Seconds of the last epoch."""
    return float(ours(**options).fit(X).history_["duration"].iloc[-1])


def plain_epoch(X, build=Plain, memory_format=torch.contiguous_format):
    """Seconds of an epoch of the loop that one would write by hand."""
    return plain_loop(X, build().to(memory_format=memory_format), 1)


def plain_loop(X, network, epochs):
    optimizer = torch.optim.Adam(network.parameters(), 1e-3, fused=True)
    x = torch.from_numpy(X).reshape(-1, 1, 28, 28)
    started = time.perf_counter()
    for _ in range(epochs):
        for batch in torch.randperm(len(x)).split(128):
            target = x[batch]
            loss = nn.functional.mse_loss(network(target), target)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return time.perf_counter() - started


def skorch_epoch(X, build=Plain, device="cpu"):
    from skorch import NeuralNet

    net = NeuralNet(
        build(), nn.MSELoss, optimizer=torch.optim.Adam, optimizer__fused=True, lr=1e-3,
        batch_size=128, max_epochs=1, train_split=None, iterator_train__shuffle=True, verbose=0,
        device=device,
    ).initialize()  # fmt: skip
    x = X.reshape(-1, 1, 28, 28)
    return timed(lambda: net.partial_fit(x, x))


def timed(function, device="cpu"):
    """Seconds until the device has done it."""
    wait = torch.cuda.synchronize if device == "cuda" else lambda: None
    wait()
    started = time.perf_counter()
    function()
    wait()
    return time.perf_counter() - started


def row(name, limit, ours, theirs, repeats):
    """Medians of both and of the ratios of the pairs, after a pair not counted."""
    pairs = np.array([(ours(), theirs()) for _ in range(repeats + 1)])[1:]
    ratios, ms = np.sort(pairs[:, 0] / pairs[:, 1]), 1000 * np.median(pairs, axis=0)
    spread = f"{np.median(ratios):.3f} ({ratios[0]:.3f}-{ratios[-1]:.3f})"
    say(f"| {name} | {ms[0]:.0f} | {ms[1]:.0f} | {spread} | {limit} |")
    return ms


def say(line):
    print(line, flush=True)


def images(n=None):
    return fetch_mnist("train").images[:n].reshape(-1, 784) / np.float32(255)


def peak(dtype=torch.float32, n=2048, device="cpu"):
    """Operations a second of a product of two large matrices."""
    a = torch.randn(n, n, device=device).to(dtype)
    return 2 * n**3 / np.median([timed(lambda: a @ a, device) for _ in range(9)])


def operations(network, shape):
    """Operations of the forward pass of one sample."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(torch.zeros(1, *shape))
    return counter.get_total_flops()


def train(args):
    X = images(args.rows)
    for precision in "auto", "float32":
        ms = row(f"epoch, {precision} / plain loop, float32", "0.60 with bfloat16, 1.02 without",
                 lambda: our_epoch(X, precision=precision), lambda: plain_epoch(X),  # noqa: B023
                 args.repeats)  # fmt: skip
        cost = 3 * operations(Plain().eval(), (1, 28, 28)) * len(X) / (ms[0] / 1000)
        say(f"share of the peak: {cost / peak():.2f} of float32, "
            f"{cost / peak(torch.bfloat16):.2f} of bfloat16")  # fmt: skip
    last, single = torch.channels_last, "float32"
    row("epoch, float32 / plain loop, channels last", "", lambda: our_epoch(X, precision=single),
        lambda: plain_epoch(X, memory_format=last), args.repeats)  # fmt: skip
    row(
        "epoch / default skorch", 0.50, lambda: our_epoch(X), lambda: skorch_epoch(X), args.repeats
    )
    for precision in "auto", "float32":
        fast = {"precision": precision, "net__compile": True}
        row(f"epoch, {precision}, compiled / not", "", lambda: our_epoch(X, **fast),  # noqa: B023
            lambda: our_epoch(X, precision=precision), args.repeats)  # noqa: B023 # fmt: skip
    T = fetch_mnist("test").images.reshape(-1, 784) / np.float32(255)
    for seed in range(3):
        torch.manual_seed(seed)
        network = Plain()
        plain_loop(X, network, 5)
        x = torch.from_numpy(T).reshape(-1, 1, 28, 28)
        with torch.inference_mode():
            plain = float(nn.functional.mse_loss(network.eval()(x), x))
        found = -ours(max_epochs=5, random_state=seed).fit(X).score(T)
        say(f"squared error of the test images after 5 epochs: {found:.5f}, plain {plain:.5f}")


def empty(args):
    X = images(60000)
    loop = {"module": Empty, "precision": "float32", "net_params": None}
    ms = row("empty network, epoch / plain loop", "20 us a batch", lambda: our_epoch(X, **loop),
             lambda: plain_epoch(X, Empty), args.repeats)  # fmt: skip
    say(f"{1000 * (ms[0] - ms[1]) / (len(X) / 128):.0f} us a batch over the plain loop")
    row("empty network, epoch / default skorch", "", lambda: our_epoch(X, **loop),
        lambda: skorch_epoch(X, Empty), args.repeats)  # fmt: skip


def score(args):
    X = images(10000)
    ae = ours().fit(X[:1000])
    network = Plain().eval()
    x = torch.from_numpy(X).reshape(-1, 1, 28, 28)

    def forward(size):
        with torch.inference_mode():
            return timed(lambda: [network(batch) for batch in x.split(size)])

    for size in 64, 512:
        ms = row(f"score_samples, 10 000 rows / forward pass by {size}", 1.10,
                 lambda: timed(lambda: ae.score_samples(X)), lambda: forward(size),  # noqa: B023
                 args.repeats)  # fmt: skip
    cost = operations(network, (1, 28, 28)) * len(X) / (ms[0] / 1000)
    say(f"share of the peak: {cost / peak():.2f}")


def latency(args):
    """Milliseconds of a call with one row, beside a forward pass and the exported model."""
    import onnxruntime
    from sklearn.datasets import load_digits

    from skcae import export_onnx

    for name, X in (
        ("8 x 8", load_digits().images),
        ("28 x 28", images(2000).reshape(-1, 28, 28)),
    ):
        X = X.astype(np.float32)
        ae = ConvAutoencoder(16, max_epochs=2, random_state=0).fit(X)
        x = ae.net_.standardize(X[:1].reshape(1, -1)).contiguous()
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "score.onnx"
            export_onnx(ae, path, output="score")
            session = onnxruntime.InferenceSession(path)
        inputs = {session.get_inputs()[0].name: X[:1]}
        calls = {
            "forward pass": torch.no_grad()(lambda x=x, ae=ae: ae.net_.module_(x)),
            "transform": lambda X=X, ae=ae: ae.transform(X[:1]),
            "reconstruct": lambda X=X, ae=ae: ae.reconstruct(X[:1]),
            "score_samples": lambda X=X, ae=ae: ae.score_samples(X[:1]),
            "score in onnxruntime": lambda s=session, i=inputs: s.run(None, i),
            "score_samples of 1000, a row": lambda X=X, ae=ae: ae.score_samples(X[:1000]),
        }
        seconds = np.array([[timed(call) for call in calls.values()] for _ in range(200)])
        ms = 1000 * np.median(seconds[20:], axis=0) / [1, 1, 1, 1, 1, 1000]
        for what, value in zip(calls, ms, strict=True):
            say(f"| {name} | {what} | {value:.2f} | {value / ms[0]:.1f} |")


def pyod(args):
    from pyod.models.auto_encoder import AutoEncoder

    X, T = images(10000), images(20000)[10000:]
    dense = ours(precision="float32", hidden_channels=(), hidden_units=(64,), n_components=32,
                 activation="relu", batch_size=32, max_epochs=10,
                 net_params={"module__linear_path": False})  # fmt: skip
    theirs = AutoEncoder(verbose=0, random_state=0, epoch_num=10, batch_size=32)
    row("training, the network of PyOD's AutoEncoder", 0.50, lambda: timed(lambda: dense.fit(X)),
        lambda: timed(lambda: theirs.fit(X)), args.repeats)  # fmt: skip
    row("scoring 10 000", 0.09, lambda: timed(lambda: dense.score_samples(T)),
        lambda: timed(lambda: theirs.decision_function(T)), args.repeats)  # fmt: skip


def keras(args):
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    from tensorflow import config, keras

    config.threading.set_intra_op_parallelism_threads(torch.get_num_threads())
    layers, X = keras.layers, images(args.rows)
    network = keras.Sequential([keras.Input((28, 28, 1))])
    for n in 32, 64:
        network.add(layers.Conv2D(n, 3, strides=2, padding="same"))
        network.add(layers.LeakyReLU(negative_slope=0.2))
        network.add(layers.BatchNormalization())
    network.add(layers.Flatten())
    network.add(layers.Dense(16))
    network.add(layers.Dense(7 * 7 * 64))
    network.add(layers.LeakyReLU(negative_slope=0.2))
    network.add(layers.Reshape((7, 7, 64)))
    for n in 64, 32:
        network.add(layers.Conv2DTranspose(n, 3, strides=2, padding="same"))
        network.add(layers.LeakyReLU(negative_slope=0.2))
        network.add(layers.BatchNormalization())
    network.add(layers.Conv2D(1, 3, padding="same"))
    network.compile(keras.optimizers.Adam(1e-3), "mse")
    x = X.reshape(-1, 28, 28, 1)
    row("epoch / Keras on TensorFlow", 0.50, lambda: our_epoch(X),
        lambda: timed(lambda: network.fit(x, x, batch_size=128, verbose=0)),
        args.repeats)  # fmt: skip


def pythae(args):
    from pythae.data.datasets import BaseDataset
    from pythae.models import AE, VAE, AEConfig, VAEConfig
    from pythae.models.base.base_utils import ModelOutput
    from pythae.models.nn import BaseDecoder, BaseEncoder
    from pythae.trainers import BaseTrainer, BaseTrainerConfig

    X = images(args.rows)
    x = torch.from_numpy(X).reshape(-1, 1, 28, 28)
    data = BaseDataset(x, torch.zeros(len(x)))

    class Encoder(BaseEncoder):
        def __init__(self, network, variational):
            super().__init__()
            self.network, self.variational = network, variational
            self.logvar = nn.Linear(3136, 16)

        def forward(self, x):
            hidden = self.network.stages(x).flatten(1)
            output = ModelOutput(embedding=self.network.dense(hidden))
            if self.variational:
                output["log_covariance"] = self.logvar(hidden)
            return output

    class Decoder(BaseDecoder):
        def __init__(self, network):
            super().__init__()
            self.network = network

        def forward(self, z):
            return ModelOutput(reconstruction=self.network(z))

    def epoch(kind, config):
        network = Plain()
        model = kind(config(input_dim=(1, 28, 28), latent_dim=16),
                     Encoder(network.encoder, kind is VAE), Decoder(network.decoder))  # fmt: skip
        with tempfile.TemporaryDirectory() as folder:
            options = BaseTrainerConfig(
                output_dir=folder,
                num_epochs=1,
                no_cuda=True,
                per_device_train_batch_size=128,
                learning_rate=1e-3,
            )
            trainer = BaseTrainer(model, data, training_config=options)
            trainer.prepare_training()
            return timed(lambda: trainer.train_step(1))

    def our_vae():
        vae = ConvVAE(16, input_shape=(28, 28), activation="leaky_relu", optimizer="adam",
                      batch_size=128, max_epochs=1, random_state=0).fit(X)  # fmt: skip
        return float(vae.history_["duration"].iloc[-1])

    row("epoch / Pythae's AE", "", lambda: our_epoch(X), lambda: epoch(AE, AEConfig), args.repeats)
    row("epoch / Pythae's VAE", "", our_vae, lambda: epoch(VAE, VAEConfig), args.repeats)


def jobs(args):
    X = images(2000)
    grid = {"n_components": [4, 8], "learning_rate": [1e-3, 4e-3]}

    def search(n_jobs):
        estimator = ours(max_epochs=4)
        found = GridSearchCV(estimator, grid, cv=2, n_jobs=n_jobs, refit=False)
        return timed(lambda: found.fit(X))

    with joblib.parallel_config("loky", inner_max_num_threads=1):
        search(2)  # starts the workers
        torch.set_num_threads(1)
        row("GridSearchCV of 8 fits, n_jobs=2 / n_jobs=1, a thread each", "1 / 1.7",
            lambda: search(2), lambda: search(1), args.repeats)  # fmt: skip


def torchrun(args):
    script = (
        "import sys, torch, benchmarks.speed as s\n"
        "n = int(sys.argv[1]); torch.set_num_threads(2 // n)\n"
        "if n > 1: torch.distributed.init_process_group('gloo')\n"
        "ae = s.ours(precision='float32', max_epochs=3).fit(s.images(6000))\n"
        "print('seconds', ae.history_['duration'].iloc[1:].median())\n"
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "fit.py"
        path.write_text(script)
        run = [sys.executable, "-m", "torch.distributed.run", "--standalone"]

        def epoch(n):
            start = [*run, f"--nproc-per-node={n}"] if n > 1 else [sys.executable]
            out = subprocess.run([*start, str(path), str(n)], capture_output=True, text=True,
                                 check=True, env={**os.environ, "PYTHONPATH": "."})  # fmt: skip
            return float(out.stdout.split("seconds")[1].split()[0])

        row("epoch, two processes of a thread / one of two", 1.15, lambda: epoch(2),
            lambda: epoch(1), args.repeats)  # fmt: skip


def resident():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def memory(args):
    """Peak memory of a fit above that of the array, in a process of its own."""
    n = 400_000
    X = np.random.default_rng(0).integers(0, 256, (n, 28, 28), dtype=np.uint8)
    before = resident()
    ours(max_epochs=1, batch_size=1024, hidden_channels=(8, 16)).fit(X)
    limit = 0.3 * X.nbytes + 600e6
    say(f"uint8 array of {X.nbytes / 1e6:.0f} MB: {(resident() - before) / 1e6:.0f} MB above it "
        f"(limit {limit / 1e6:.0f})")  # fmt: skip


def stored(args):
    """A memory map of ``--gigabytes`` beside an array in memory of a tenth of that."""
    n = int(args.gigabytes * 1e9) // 784
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        some, path = fetch_mnist("train").images, Path(folder) / "X"
        with path.open("wb") as file:  # a map's written pages would count as memory of ours
            for start in range(0, n, len(some)):
                file.write(some[: n - start].tobytes())
        X = np.memmap(path, np.uint8, "r", shape=(n, 28, 28))
        # The dense network takes 30 times as many images a second, so reading must keep up.
        options = {"hidden_channels": (), "hidden_units": (64,), "batch_size": 1024}
        our_epoch(X[:10000], **options)
        before = resident()
        outside = n / our_epoch(X, **options)
        more = (resident() - before) / 1e6
        few = np.array(X[: n // 10])
        inside = len(few) / our_epoch(few, **options)
    say(f"memory map of {args.gigabytes} GB: {outside:.0f} images a second, {more:.0f} MB more")
    say(f"{outside / inside:.2f} of the rate in memory (limit 0.8)")


def growth(args):
    """Microseconds a sample of training and scoring, as samples and images grow."""
    rng = np.random.default_rng(0)
    our_epoch(images(200))  # what is done once in a process
    for n in (10**e for e in range(3, args.decades + 1)):
        X = rng.integers(0, 256, (n, 16, 16), dtype=np.uint8)
        measure(f"n = {n}, 16 x 16", X)
    for side in 16, 32, 64, 128, 256:
        measure(f"{side} x {side}", rng.integers(0, 256, (2**23 // side**2, side, side), np.uint8))


def measure(name, X):
    ae = ours(input_shape=None, hidden_channels=(8, 16), max_epochs=1)
    seconds = timed(lambda: ae.fit(X)), timed(lambda: ae.score_samples(X))
    us = 1e6 * np.array(seconds) / len(X)
    pixel = 1000 * us[0] / X[0].size
    say(f"| {name} | fit {us[0]:.1f} | score {us[1]:.1f} | a pixel {pixel:.1f} ns |")


def start(args):
    """Seconds to import the package beyond what it stands on."""

    def seconds(code):
        return min(timed(lambda: subprocess.run([sys.executable, "-c", code], check=True))
                   for _ in range(args.repeats))  # fmt: skip

    base = "import torch, skorch, sklearn.base, sklearn.mixture, pandas, scipy.stats"
    say(f"import skcae: {seconds(base + '; import skcae') - seconds(base):.2f} s (limit 0.15)")


def main():
    parts = (
        train,
        empty,
        score,
        latency,
        pyod,
        keras,
        pythae,
        jobs,
        torchrun,
        memory,
        stored,
        growth,
        start,
    )
    parser = argparse.ArgumentParser()
    parser.add_argument("what", nargs="+", choices=[part.__name__ for part in parts])
    parser.add_argument("--rows", type=int, default=6000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--gigabytes", type=float, default=20)
    parser.add_argument("--decades", type=int, default=6)
    parser.add_argument("--folder", help="for the memory map")
    args = parser.parse_args()
    if {"memory", "stored"} & set(args.what) and len(args.what) > 1:
        parser.error("memory and stored measure the peak of a process: run each alone")
    say(f"torch {torch.__version__}, {torch.get_num_threads()} threads, {args.repeats} pairs, ms")
    for part in parts:
        if part.__name__ in args.what:
            part(args)


if __name__ == "__main__":
    main()

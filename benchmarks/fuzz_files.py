"""Damaged and forged files: `skcae.load` gives the estimator that was saved, or a `ValueError`.

    python benchmarks/fuzz_files.py --files 10000 --seed 0

Half of the files are damaged: bits, runs of bytes and lengths are changed, parts cut off, put in,
or taken from another file. Of those, one that is loaded must be the estimator that was saved:
saved again, it gives the same bytes. The others are forged: their JSON or their header is changed,
names of other classes are put in, and the checksum is made anew; what is loaded of those may be
another estimator. An audit hook of Python tells what runs meanwhile: imports, code, processes,
connections, other files. Prints how many files ended how, and what must not be, and exits with the
number of the latter.
"""

import argparse
import copy
import json
import sys
import tempfile
import time
import warnings
from contextlib import nullcontext
from functools import partial
from pathlib import Path

import numpy as np
import torch
from sklearn.datasets import load_digits

import skcae
from skcae._encoding import KINDS, TABLE
from skcae._files import AT, END, _seal
from skcae.corruptions import Masking
from skcae.losses import Loss
from skcae.priors import GaussianMixture

X, y = load_digits(return_X_y=True)
X, y = X[:60].reshape(-1, 8, 8) / 16, y[:60]
FORBIDDEN = (
    *("import", "exec", "compile", "pickle.", "marshal.", "ctypes.", "code.", "subprocess."),
    *("os.", "shutil.", "socket.", "urllib.", "webbrowser.", "tempfile."),
)
JUNK = [None, True, -1, 0, 1, 10**9, 10**30, 0.5, "", "nope", "Net", [], {}, [1], {"$tuple": 3}]


def unfitted():
    """With values of all kinds."""
    return skcae.ConvAutoencoder(
        loss=Loss(torch.nn.functional.mse_loss),
        activation=torch.nn.GELU,
        random_state=np.random.RandomState(0),
        net_params={"optimizer__betas": (0.8, 0.9)},
        device=torch.device("cpu"),
    )


def estimators():
    small = {"hidden_channels": (2, 3), "max_epochs": 1, "random_state": 0, "batch_size": 30}
    yield unfitted()
    yield skcae.ConvAutoencoder(3, **small, calibration=0.3).fit(X)
    yield skcae.DenoisingConvAutoencoder(2, corruption=Masking(0.3), **small).fit(X)
    prior = partial(GaussianMixture, n_mixtures=3)
    yield skcae.ConvVAE(2, prior=prior, **small, contamination=0.1).fit(X)
    yield skcae.ConditionalConvVAE(2, **small, calibration=2).fit(X, y)


# Damage ------------------------------------------------------------------------------------------


def flip_bits(data, rng, others):
    data = bytearray(data)
    for at in rng.integers(len(data), size=rng.integers(1, 9)):
        data[at] ^= 1 << rng.integers(8)
    return bytes(data)


def overwrite(data, rng, others):
    start, length = _run(data, rng)
    return data[:start] + rng.bytes(length) + data[start + length :]


def overwrite_header(data, rng, others):
    """A printable character in the header, which is most likely to be read as something else."""
    at = int(rng.integers(_length(data) + 8))
    return data[:at] + bytes([rng.integers(32, 127)]) + data[at + 1 :]


def set_length(data, rng, others):
    return int(rng.integers(2 ** int(rng.integers(1, 63)))).to_bytes(8, "little") + data[8:]


def cut(data, rng, others):
    return data[: rng.integers(len(data))]


def insert(data, rng, others):
    start, length = _run(data, rng)
    return data[:start] + rng.bytes(length) + data[start:]


def delete(data, rng, others):
    start, length = _run(data, rng)
    return data[:start] + data[start + length :]


def mix(data, rng, others):
    """The beginning of one file and the end of another."""
    at = int(rng.integers(len(data)))
    return data[:at] + others[rng.integers(len(others))][at:]


DAMAGES = flip_bits, overwrite, overwrite_header, set_length, cut, insert, delete, mix


def _length(data):
    return int.from_bytes(data[:8], "little")


def _run(data, rng):
    return int(rng.integers(len(data))), int(rng.integers(1, 64))


# Forgery -----------------------------------------------------------------------------------------


def forge(data, rng, others):
    """A file with a right checksum and other contents."""
    header = json.loads(data[8 : 8 + _length(data)])
    about = json.loads(header["__metadata__"]["skcae"])
    for _ in range(rng.integers(1, 3)):
        if rng.random() < 0.15:
            _forge_tensor(header, rng)
        else:
            _forge_tree(about, rng)
    about["sha256"] = "0" * (END - AT)
    header["__metadata__"]["skcae"] = json.dumps(about, separators=(",", ":"))
    text = json.dumps(header, separators=(",", ":")).encode()
    return _seal(len(text).to_bytes(8, "little") + text + data[8 + _length(data) :])


def forge_bytes(data, rng, others):
    """Any damage, with a right checksum."""
    data = DAMAGES[rng.integers(len(DAMAGES))](data, rng, others)
    return _seal(data) if len(data) > END else data


def _forge_tensor(header, rng):
    names = [name for name in header if name != "__metadata__"]
    tensor = header[names[rng.integers(len(names))]] if names else {}
    change = {
        "dtype": ["F64", "F32", "BF16", "U8", "BOOL", "I64", "F8_E4M3", "X"],
        "shape": [[], [0], [2, 2], [2**40], [-1]],
        "data_offsets": [[0, 0], [0, 8], [8, 0], [0, 2**60]],
    }
    name = list(change)[rng.integers(3)]
    tensor[name] = _draw(change[name], rng)


def _forge_tree(about, rng):
    """Another value, kind, name or key at a random place."""
    places = list(_places(about, {"about": about}, "about"))
    node, key = _draw(places, rng)
    draw = rng.random()
    if draw < 0.25:
        node[key] = _draw(JUNK, rng)
    elif draw < 0.5:
        other, place = _draw(places, rng)
        node[key] = copy.deepcopy(other[place])
    elif draw < 0.65:
        node[key] = {"$name": _draw(list(TABLE), rng)}
    elif draw < 0.75:
        node[key] = {_draw(list(KINDS), rng): node[key]}
    elif draw < 0.85:
        del node[key]
    elif isinstance(node, dict):
        node[_draw(["net_", "transform", "__class__", "x_", "$object", "$name"], rng)] = node[key]
    elif isinstance(node[key], (int, float)):
        node[key] = node[key] * 10 ** int(rng.integers(9))


def _places(node, parent, key):
    yield parent, key
    if isinstance(node, (dict, list)):
        for inner, value in node.items() if isinstance(node, dict) else enumerate(node):
            yield from _places(value, node, inner)


def _draw(values, rng):
    return values[rng.integers(len(values))]


# Running -----------------------------------------------------------------------------------------


class Audit:
    """What Python's audit hook tells of, within it."""

    def __init__(self):
        self.listens, self.told = False, []
        sys.addaudithook(self.hear)

    def __enter__(self):
        self.told, self.listens = [], True

    def __exit__(self, *error):
        self.listens = False

    def hear(self, event, arguments):
        if not self.listens:
            return
        reads = event == "open" and arguments[1] in ("r", "rb")
        if event.startswith(FORBIDDEN) or (event == "open" and not reads):
            self.told.append(f"{event} {arguments!r:.200}")


def run_file(path, data, original, audit=None):
    """How a file ended, and what must not be or None; without an original it is forged."""
    path.write_bytes(data)
    try:
        with audit or nullcontext():
            loaded = skcae.load(path)
    except ValueError as error:
        end, reason = f"ValueError, from {type(error.__cause__).__name__}", str(error)
        if len(reason) < 60:
            return end, f"no reason: {reason}"
    except BaseException as error:
        return type(error).__name__, f"{type(error).__name__}: {error}"
    else:
        end = "loaded"
        if original is not None:
            skcae.save(loaded, path)
            if path.read_bytes() != original:
                return end, "another estimator"
    return end, f"ran {audit.told}" if audit and audit.told else None


def draw_file(number, seed, originals):
    """A file and the one that it was made from, or None where it is forged."""
    rng = np.random.default_rng([seed, number])
    original, forged = _draw(originals, rng), number % 2 == 1
    change = _draw((forge, forge, forge_bytes) if forged else DAMAGES, rng)
    return change(original, rng, originals), None if forged else original


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--files", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as folder:
        path, audit, ends, failures, slowest = Path(folder) / "file", Audit(), {}, 0, 0.0
        originals = []
        for estimator in estimators():
            skcae.save(estimator, path)
            skcae.load(path)  # what torch imports late is not the file's
            originals.append(path.read_bytes())
        for number in range(options.files):
            data, original = draw_file(number, options.seed, originals)
            start = time.perf_counter()
            end, wrong = run_file(path, data, original, audit)
            slowest = max(slowest, time.perf_counter() - start)
            key = "forged" if original is None else "damaged", end
            ends[key] = ends.get(key, 0) + 1
            if wrong:
                failures += 1
                print(f"{number}: {wrong}", flush=True)
    for (kind, end), count in sorted(ends.items()):
        print(f"{kind:8} {end:40} {count}")
    import resource  # which not every system has

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"{options.files} files, {failures} failed; slowest {slowest:.2f} s, {peak:.1f} GB")
    return failures


if __name__ == "__main__":
    sys.exit(min(main(), 100))

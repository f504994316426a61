"""Several processes train as one: identical weights, and those of one process."""

import subprocess
import sys

import joblib
import numpy as np
import pytest

from skcae import ConditionalConvVAE, ConvAutoencoder, ConvVAE

SCRIPT = """
import sys
import joblib
import torch
from skcae import *

estimator, data, out = sys.argv[1:]
torch.set_num_threads(1)
torch.distributed.init_process_group("gloo")
fitted = joblib.load(estimator).fit(*joblib.load(data))
joblib.dump(fitted, f"{out}{torch.distributed.get_rank()}")
torch.distributed.destroy_process_group()
"""


@pytest.fixture
def X(digits):
    return digits[0][:200]


@pytest.fixture
def y(digits):
    return digits[1][:200]


def fit_in_two_processes(estimator, data, path):
    """What each of two processes ends with, and what they print."""
    (path / "script.py").write_text(SCRIPT)
    joblib.dump(estimator, path / "estimator")
    joblib.dump(data, path / "data")
    names = [str(path / name) for name in ("script.py", "estimator", "data", "out")]
    run = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    done = subprocess.run([*run, *names], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return [joblib.load(path / f"out{rank}") for rank in (0, 1)], done.stdout


def state(estimator):
    return estimator.net_.module_.state_dict()


@pytest.mark.parametrize(
    "estimator",
    [
        ConvAutoencoder(4, normalization=None, max_epochs=3, batch_size=50, random_state=0),
        ConvAutoencoder(4, normalization=None, max_epochs=3, batch_size=64, early_stopping=True,
                        optimizer="sgd", random_state=0, verbose=1),
    ],
)  # fmt: skip
def test_two_processes_give_what_one_does(estimator, X, tmp_path):
    one = estimator.fit(X)
    (first, second), printed = fit_in_two_processes(estimator, (X,), tmp_path)
    for name, weight in state(first).items():
        np.testing.assert_array_equal(weight, state(second)[name])
        np.testing.assert_allclose(weight, state(one)[name], rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(first.loss_curve_, one.loss_curve_, rtol=1e-4)
    np.testing.assert_array_equal(first.loss_curve_, second.loss_curve_)
    np.testing.assert_array_equal(first.score_samples(X), second.score_samples(X))
    assert printed.count("epoch") == (estimator.max_epochs if estimator.verbose else 0)


@pytest.mark.parametrize(
    "estimator",
    [
        ConvAutoencoder(4, max_epochs=2),
        ConvVAE(4, max_epochs=2),
        ConditionalConvVAE(4, max_epochs=2, calibration=0.2),
    ],
)
def test_processes_agree_without_a_seed(estimator, X, y, tmp_path):
    (first, second), _ = fit_in_two_processes(estimator, (X, y), tmp_path)
    for name, value in state(first).items():
        np.testing.assert_array_equal(value, state(second)[name])
    np.testing.assert_array_equal(first.score_samples(X), second.score_samples(X))

"""Several processes train as one: identical weights, and those of one process."""

import subprocess
import sys

import joblib
import numpy as np
import pytest
from sklearn.base import clone

from skcae import ConditionalConvVAE, ConvAutoencoder, ConvVAE

SCRIPT = """
import sys
import joblib
import torch

folder = sys.argv[1]
torch.set_num_threads(1)
torch.distributed.init_process_group("gloo")
estimators, data = joblib.load(f"{folder}/in")
fitted = [estimator.fit(*data) for estimator in estimators]
joblib.dump(fitted, f"{folder}/out{torch.distributed.get_rank()}")
torch.distributed.destroy_process_group()
"""
SMALL = {"hidden_channels": (4, 8)}
EXACT = {**SMALL, "normalization": None, "precision": "float32", "random_state": 0}
ESTIMATORS = [
    ConvAutoencoder(4, max_epochs=3, batch_size=50, **EXACT),
    ConvAutoencoder(
        4, max_epochs=3, batch_size=64, early_stopping=True, optimizer="sgd", verbose=1, **EXACT
    ),
    ConvAutoencoder(4, max_epochs=2, **SMALL),
    ConvVAE(4, max_epochs=2, **SMALL),
    ConditionalConvVAE(4, max_epochs=2, **SMALL, calibration=0.2),
]


@pytest.fixture(scope="module")
def data(digits):
    return digits[0][:150], digits[1][:150]


@pytest.fixture(scope="module")
def fitted(data, tmp_path_factory):
    """What each of two processes ends with, and what they print."""
    folder = tmp_path_factory.mktemp("processes")
    (folder / "fit.py").write_text(SCRIPT)
    joblib.dump((ESTIMATORS, data), folder / "in")
    run = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    run += [str(folder / "fit.py"), str(folder)]
    done = subprocess.run(run, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return *(joblib.load(folder / f"out{rank}") for rank in (0, 1)), done.stdout


def state(estimator):
    return estimator.net_.module_.state_dict()


@pytest.mark.parametrize("i", range(len(ESTIMATORS)))
def test_all_processes_end_alike(i, fitted, data):
    first, second = fitted[0][i], fitted[1][i]
    for name, value in state(first).items():
        np.testing.assert_array_equal(value, state(second)[name])
    np.testing.assert_array_equal(first.loss_curve_, second.loss_curve_)
    np.testing.assert_array_equal(first.score_samples(data[0]), second.score_samples(data[0]))


@pytest.mark.parametrize("i", [0, 1])
def test_two_processes_give_what_one_does(i, fitted, data):
    one, two = clone(ESTIMATORS[i]).fit(*data), fitted[0][i]
    for name, weight in state(two).items():
        np.testing.assert_allclose(weight, state(one)[name], rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(two.loss_curve_, one.loss_curve_, rtol=1e-4)


def test_only_the_first_process_prints(fitted):
    assert fitted[2].count("epoch") == ESTIMATORS[1].max_epochs

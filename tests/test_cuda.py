"""Training and inference on a CUDA device; where there is none, all of this is skipped."""

import os
import pickle
import subprocess
import sys

import numpy as np
import pytest
import sklearn
import torch
from sklearn.base import clone

from skcae import ConditionalConvVAE, ConvAutoencoder, DenoisingConvAutoencoder
from skcae._net import _batches
from skcae._net._trainer import Trainer

pytestmark = pytest.mark.cuda


@pytest.fixture
def X(digits):
    return digits[0]


@pytest.fixture
def repeatable():
    torch.backends.cudnn.deterministic = True
    yield
    torch.backends.cudnn.deterministic = False


@pytest.mark.usefixtures("repeatable")
@pytest.mark.parametrize("dtype", [np.uint8, np.float16, np.float32, np.float64])
def test_data_that_do_not_fit_train_as_those_that_do(X, dtype, monkeypatch):
    rows = (255 * X).astype(dtype)
    ae = ConvAutoencoder(4, max_epochs=2, device="cuda", random_state=0)
    expected = ae.fit(rows).transform(rows)
    monkeypatch.setattr(_batches, "fits_on_device", lambda X, device: False)
    np.testing.assert_allclose(ae.fit(rows).transform(rows), expected, atol=1e-4)


def test_an_epoch_waits_for_the_device_once(make, X, monkeypatch):
    """Not in the batches, but where the loss is read."""
    estimators = [make(device="cuda")]
    if make.cls is DenoisingConvAutoencoder:
        estimators += [make(device="cuda", corruption="salt_and_pepper", noise_level=0.1)]
    run_batches = Trainer._run_batches

    def watched(*args):
        torch.cuda.set_sync_debug_mode("error")
        try:
            return run_batches(*args)
        finally:
            torch.cuda.set_sync_debug_mode("default")

    labels = (np.arange(len(X)) % 3,) if make.cls is ConditionalConvVAE else ()
    for estimator in estimators:
        estimator.fit(X, *labels)  # what is done once
        monkeypatch.setattr(Trainer, "_run_batches", watched)
        estimator.fit(X, *labels)


def test_one_row_scores_as_among_many(make, X):
    estimator = make(device="cuda").fit(X)
    together = estimator.score_samples(X)
    alone = [estimator.score_samples(X[i : i + 1])[0] for i in range(5)]
    np.testing.assert_array_equal(alone, together[:5])
    many = np.concatenate([X] * 5)  # more than a tile
    np.testing.assert_array_equal(estimator.score_samples(many), np.tile(together, 5))


def test_loads_and_scores_where_there_is_none(make, X, tmp_path):
    estimator = make(device="cuda", precision="float32").fit(X)
    (tmp_path / "estimator").write_bytes(pickle.dumps(estimator))
    np.save(tmp_path / "X.npy", X)
    script = (
        "import numpy as np, pickle, sys; from pathlib import Path; folder = Path(sys.argv[1])\n"
        "estimator = pickle.loads((folder / 'estimator').read_bytes())\n"
        "assert estimator.device_ == 'cpu'\n"
        "np.save(folder / 'Z.npy', estimator.transform(np.load(folder / 'X.npy')))\n"
        "np.save(folder / 'scores.npy', estimator.score_samples(np.load(folder / 'X.npy')))\n"
    )
    hidden = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}
    subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=True, env=hidden)
    scores, Z = (np.load(tmp_path / f"{name}.npy") for name in ("scores", "Z"))
    # Convolutions on a GPU are in TensorFloat-32: ten bits of mantissa.
    np.testing.assert_allclose(Z, estimator.transform(X), atol=1e-2 * np.abs(Z).max())
    np.testing.assert_allclose(scores, estimator.score_samples(X), rtol=1e-2, atol=0.1)


def test_compiled_training_learns_the_same_and_compiles_once(X):
    common = {"max_epochs": 3, "batch_size": 128, "random_state": 0, "device": "cuda"}
    plain = ConvAutoencoder(4, normalization=None, **common)
    fast = clone(plain).set_params(net__compile=True)
    torch._dynamo.reset()
    with torch._dynamo.config.patch(error_on_recompile=True):
        fast.fit(X)
    np.testing.assert_allclose(fast.loss_curve_, plain.fit(X).loss_curve_, rtol=1e-2)


def test_auto_is_mixed_precision_on_newer_devices(X):
    net = ConvAutoencoder(4, max_epochs=1, device="cuda").fit(X[:50]).net_
    assert net.mixed_ == (torch.cuda.get_device_capability() >= (8, 0))


def test_tensors_on_the_device_are_read(X):
    rows = torch.from_numpy(X).to("cuda")
    ae = ConvAutoencoder(4, max_epochs=1, device="cuda", random_state=0)
    for dispatch in False, True:
        with sklearn.config_context(array_api_dispatch=dispatch):
            Z = ae.fit(rows).transform(rows)
        np.testing.assert_array_equal(Z, ae.transform(X))

"""Models that leave Python: torch modules of fitted estimators, and ONNX files."""

import copy
import subprocess
import sys

import numpy as np
import pytest
import torch
from conftest import ESTIMATORS, maker
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from skcae import (
    ConditionalConvVAE,
    ConvAutoencoder,
    ConvVAE,
    DenoisingConvAutoencoder,
    export_onnx,
)

# Of PyTorch itself, where it copies what it exports. Tests that run files need onnxruntime, which
# is in the extra "test" but has no wheels for every platform and Python.
pytestmark = pytest.mark.filterwarnings("ignore:.isinstance.treespec, LeafSpec:FutureWarning")
N = 60


@pytest.fixture(scope="module")
def digits_as_bytes(digits):
    images, labels = digits
    return (255 * images[:N]).astype(np.uint8), labels[:N] + 3


def fit(cls, X, *y, **parameters):
    parameters = {"input_shape": None, "anomaly_score": "joint", "max_epochs": 1, **parameters}
    if cls is DenoisingConvAutoencoder:
        parameters["noise_level"] = 0.3 * np.ptp(X)
    return maker(cls)(**parameters).fit(X, *y)


def expect(estimator, output, X, *y):
    """What the estimator's own methods return."""
    if output == "codes":
        return (estimator.transform(X, *y),)
    if output == "reconstruction":
        return (estimator.inverse_transform(estimator.transform(X, *y), *y),)
    return (estimator.score_samples(X, *y),)


def check(results, estimator, output, X, *y):
    """Whether results are those of the estimator, up to rounding."""
    if output == "alarm":
        alarms, *results = results
        np.testing.assert_array_equal(alarms, results[0] < estimator.offset_)
        assert y or 0 < alarms.sum() < len(alarms)  # the threshold knows no labels
    if len(results) > 1:  # larger by a random part of one rank; of two where rounding unties
        rank = 1 / (1 + estimator.calibration_.n_samples)
        above = results.pop() - estimator.p_values(X)
        assert ((above >= -rank) & (above < 2 * rank)).all()
        assert above.mean() > 0
    for result, values in zip(results, expect(estimator, output, X, *y), strict=True):
        assert result.dtype == values.dtype
        size = np.ptp(values.astype(float))
        np.testing.assert_allclose(result, values, rtol=1e-5, atol=1e-5 * size)


# As torch modules -------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=ESTIMATORS, ids=lambda cls: cls.__name__)
def fitted(request, digits_as_bytes):
    """An estimator, calibrated by folds, and what its methods are given."""
    X, labels = digits_as_bytes
    y = (labels,) if request.param is ConditionalConvVAE else ()
    return fit(request.param, X, *y, calibration=2, contamination=0.2), X, *y


@pytest.mark.parametrize("output", ["codes", "reconstruction", "score", "alarm"])
def test_a_module_gives_what_the_estimator_gives(fitted, output):
    estimator, *data = fitted
    results = estimator.to_module(output)(*map(torch.from_numpy, data))
    results = results if isinstance(results, tuple) else (results,)
    assert len(results) == (4 - len(data) if output == "alarm" else 1)  # no p-values with labels
    check([result.numpy() for result in results], estimator, output, *data)


def test_a_module_shares_nothing_and_can_be_copied(fitted):
    estimator, *data = fitted
    tensors = [torch.from_numpy(values) for values in data]
    module = estimator.to_module("alarm")
    before = estimator.score_samples(*data)
    scores = copy.deepcopy(module)(*tensors)[1]
    with torch.no_grad():
        for value in (*module.parameters(), *module.buffers()):
            value.zero_()
    np.testing.assert_array_equal(estimator.score_samples(*data), before)
    np.testing.assert_allclose(scores.numpy(), before, rtol=1e-5)
    assert not any(value.requires_grad for value in module.parameters())


@pytest.mark.filterwarnings("ignore:.*get_attr.*Node:UserWarning")  # torch 2.5, of its own graphs
def test_a_module_is_exported_by_torch_for_any_number_of_samples(digits_as_bytes):
    tensors = [torch.from_numpy(values) for values in digits_as_bytes]
    module = fit(ConditionalConvVAE, *digits_as_bytes).to_module("codes")
    n = torch.export.Dim("n", min=1, max=1000)
    shapes = {0: n}, {0: n}
    few = tuple(values[:3] for values in tensors)
    program = torch.export.export(module, few, dynamic_shapes=shapes, strict=False)
    for n in (1, N):
        some = [values[:n] for values in tensors]
        torch.testing.assert_close(program.module()(*some), module(*some))


def test_rows_and_images_are_both_read_and_nan_is_an_alarm(digits):
    X = digits[0][:N]
    module = fit(ConvAutoencoder, X).to_module("alarm")
    images = torch.from_numpy(X)
    torch.testing.assert_close(module(images.flatten(1)), module(images))
    alarm, score = module(torch.full((1, 8, 8), torch.nan))
    assert alarm.item()
    assert score.item() == -np.inf
    with pytest.raises(ValueError, match=r"shape \(7, 8\); pass samples of shape \(8, 8\)"):
        module(images[:, 1:])


def test_labels_that_are_words_stand_by_their_places(digits):
    X, labels = digits[0][:N], np.where(digits[1][:N] > 4, "large", "small")
    estimator = fit(ConditionalConvVAE, X, labels)
    module = estimator.to_module()
    places = torch.from_numpy(np.searchsorted(estimator.classes_, labels))
    codes = module(torch.from_numpy(X), places)
    np.testing.assert_allclose(codes, estimator.transform(X, labels), rtol=1e-4, atol=1e-5)
    assert module(torch.from_numpy(X[:1]), torch.tensor([2])).isnan().all()
    with pytest.raises(ValueError, match="pass the labels"):
        module(torch.from_numpy(X))


# As ONNX files ----------------------------------------------------------------------------------


def signals(rng):
    return rng.normal(size=(N, 3, 20)).cumsum(2)


# Of each estimator one, and each layout, type and output among them.
FILES = {
    "images of integers, with p-values": (ConvAutoencoder, None, "alarm", "uint8", {
        "calibration": 0.4, "contamination": 0.2}),
    "signals with channels": (DenoisingConvAutoencoder, signals, "score", "float32", {
        "channel_axis": 0, "anomaly_score": "loss"}),
    "volumes far from zero": (ConvVAE, lambda rng: 1e6 + rng.random((N, 5, 6, 7)),
        "reconstruction", "float64", {}),
    "rows of images with channels, with labels": (ConditionalConvVAE,
        lambda rng: rng.random((N, 150)), "codes", "float32", {
        "input_shape": (5, 10, 3), "channel_axis": -1}),
}  # fmt: skip


RUN = """
import sys
import numpy as np, onnxruntime

session = onnxruntime.InferenceSession("ae.onnx")
names = [value.name for value in session.get_inputs()]
data = np.load("data.npz")
for n in (1, len(data["X"])):
    np.savez(f"{n}.npz", *session.run(None, {name: data[name][:n] for name in names}))
assert not {"torch", "sklearn", "skcae"} & set(sys.modules)
"""


@pytest.mark.parametrize("file", FILES)
def test_a_file_gives_elsewhere_what_the_estimator_gives(file, digits_as_bytes, tmp_path):
    pytest.importorskip("onnxruntime")
    cls, make, output, dtype, parameters = FILES[file]
    X, labels = digits_as_bytes
    X = X if make is None else make(np.random.default_rng(0)).astype(dtype)
    data = {"X": X, "y": labels} if cls is ConditionalConvVAE else {"X": X}
    estimator = fit(cls, *data.values(), **parameters)
    export_onnx(estimator, tmp_path / "ae.onnx", output, dtype)
    np.savez(tmp_path / "data.npz", **data)
    subprocess.run([sys.executable, "-c", RUN], cwd=tmp_path, check=True)
    one, results = (list(np.load(tmp_path / f"{n}.npz").values()) for n in (1, N))
    check(results, estimator, output, *data.values())
    np.testing.assert_allclose(one[-1], results[-1][:1], rtol=1e-5)


class Noisy(torch.nn.Module):
    """Draws whenever it encodes."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(64, 4) / 64)

    def encode(self, x):
        return x.flatten(1) @ self.weight + torch.randn_like(self.weight[:1])

    def decode(self, z):
        return (z @ self.weight.T).unflatten(1, (1, 8, 8))


def test_a_file_that_differs_is_not_written(digits, tmp_path):
    pytest.importorskip("onnxruntime")
    noisy = fit(ConvAutoencoder, digits[0][:N], module=Noisy, contamination=0.1)
    with pytest.raises(ValueError, match="another codes than the estimator"):
        export_onnx(noisy, tmp_path / "ae.onnx")
    assert not list(tmp_path.iterdir())


class Median(Noisy):
    """Has an operation that ONNX has not."""

    def encode(self, x):
        return x.flatten(1).median(1, keepdim=True).values * self.weight[:1]


def test_what_cannot_be_a_graph_is_told(digits, tmp_path, monkeypatch):
    X = digits[0][:N]
    path = tmp_path / "ae.onnx"
    vae = fit(ConvVAE, X, anomaly_score="loss")
    with pytest.raises(ValueError, match="codes that are drawn for each sample"):
        export_onnx(vae, path, "alarm")
    estimator = fit(ConvAutoencoder, X, module=Median, contamination=0.1)
    with pytest.raises(ValueError, match="holds whole numbers, but the X given to fit had others"):
        export_onnx(estimator, path, dtype="uint8")
    with pytest.raises(ValueError, match="dtype='half' is unknown"):
        export_onnx(estimator, path, dtype="half")
    with pytest.raises(ValueError, match="output='latent' is unknown"):
        export_onnx(estimator, path, "latent")
    with pytest.raises(NotFittedError):
        export_onnx(ConvVAE(), path)
    with pytest.raises(TypeError, match="of a Pipeline its last step"):
        export_onnx(make_pipeline(FunctionTransformer(), estimator), path)
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "onnxruntime", None)
        with pytest.raises(ImportError, match=r"skcae\[onnx\]"):
            export_onnx(estimator, path)
    pytest.importorskip("onnxruntime")
    with pytest.raises(ValueError, match=r"No ONNX function found .* anomaly_score of yours"):
        export_onnx(estimator, path)
    assert not path.exists()

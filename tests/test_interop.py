"""Other people's software: what writes, hashes and logs estimators and their weights."""

import pickle

import joblib
import numpy as np
import pytest
import torch
from conftest import ESTIMATORS, maker

from skcae import ConvAutoencoder, ConvVAE


@pytest.fixture(scope="module")
def X(digits):
    return digits[0][:110]


@pytest.fixture(scope="module", params=ESTIMATORS, ids=lambda cls: cls.__name__)
def fitted(request, X):
    """With all that an estimator can have learned."""
    make = maker(request.param, anomaly_score="joint", calibration=0.1)
    return make(max_epochs=1).fit(X).partial_fit(X)


def types_in(value, found):
    """The types of all values in what would be pickled."""
    found.add(type(value))
    if isinstance(value, dict):
        inner = list(value.values())
    elif isinstance(value, (list, tuple)):
        inner = list(value)
    elif type(value).__module__.startswith("skcae."):
        inner = [value.__getstate__()]
    else:
        inner = []
    for item in inner:
        types_in(item, found)
    return found


def test_the_state_is_of_numpy(fitted):
    found = types_in(fitted, set())
    assert np.ndarray in found
    others = [kind for kind in found if kind.__module__.split(".")[0] not in ("skcae", "builtins")]
    assert {kind.__module__ for kind in others} <= {"numpy", "collections"}


def test_hashes_survive_a_round_trip(fitted, tmp_path):
    joblib.dump(fitted, tmp_path / "ae.joblib")
    expected = joblib.hash(fitted)
    assert joblib.hash(pickle.loads(pickle.dumps(fitted))) == expected
    assert joblib.hash(joblib.load(tmp_path / "ae.joblib")) == expected


def test_skops(fitted, X):
    io = pytest.importorskip("skops.io")
    file = io.dumps(fitted)
    types = io.get_untrusted_types(data=file)
    others = {name.rpartition(".")[0] for name in types if not name.startswith("skcae.")}
    assert others <= {"torch.nn.functional", "torch.optim.adamw"}
    loaded = io.loads(file, trusted=types)
    np.testing.assert_array_equal(loaded.score_samples(X), fitted.score_samples(X))


def test_state_dicts_are_contiguous(fitted):
    module = fitted.net_.module_
    weights = module.state_dict()
    assert any(not value.is_contiguous() for value in module.parameters())
    assert all(value.is_contiguous() for value in weights.values())
    for layer in module.modules():
        assert all(value.is_contiguous() for value in layer.state_dict(prefix="x.").values())
    kept = module.state_dict(keep_vars=True)
    assert all(kept[name] is value for name, value in module.named_parameters())
    module.load_state_dict(weights)
    assert any(not value.is_contiguous() for value in module.parameters())


def test_safetensors(X, tmp_path):
    numpy = pytest.importorskip("safetensors.numpy")
    torch_files = pytest.importorskip("safetensors.torch")
    weights = ConvAutoencoder(4, max_epochs=1).fit(X).net_.module_.state_dict()
    torch_files.save_file(weights, tmp_path / "torch")
    numpy.save_file({name: v.numpy() for name, v in weights.items()}, tmp_path / "numpy")
    for file in ("torch", "numpy"):
        loaded = torch_files.load_file(tmp_path / file)
        assert all(torch.equal(loaded[name], value) for name, value in weights.items())


@pytest.mark.parametrize("cls", [ConvAutoencoder, ConvVAE])
@pytest.mark.parametrize("method", ["partial_fit", "fit"])
def test_training_on_after_a_pickle_is_as_without(cls, X, method):
    ae = maker(cls)(random_state=None, warm_start=True, max_epochs=1)
    getattr(ae, method)(X)
    loaded = pickle.loads(pickle.dumps(ae))
    scores = [getattr(each, method)(X[::-1]).score_samples(X) for each in (ae, loaded)]
    np.testing.assert_array_equal(*scores)

"""Files: what is loaded is what was saved, or a sentence says why not.

``python tests/test_files.py`` writes the files of a release into ``tests/files``, beside those of
the releases before, which later ones must load. Until the release they may be written anew.
"""

import importlib.util
import json
import os
import pickle
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import ESTIMATORS, maker
from sklearn import config_context
from sklearn.datasets import load_digits
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from torch import nn

import skcae
from skcae import ConvAutoencoder, ConvVAE, DenoisingConvAutoencoder
from skcae._files import AT, END, START, _seal
from skcae.corruptions import Masking
from skcae.losses import Likelihood, Loss
from skcae.priors import GaussianMixture
from skcae.scores import Mixture, Score, code

KEPT = Path(__file__).with_name("files")
X, y = load_digits(return_X_y=True)
X, y = (X[:50] / 16).reshape(-1, 8, 8), np.array(["even", "odd"])[y[:50] % 2]

spec = importlib.util.spec_from_file_location(
    "fuzz_files", Path(__file__).parents[1] / "benchmarks" / "fuzz_files.py"
)
fuzz = importlib.util.module_from_spec(spec)
spec.loader.exec_module(fuzz)


class Own(nn.Module):
    """A network of the user's."""

    def __init__(self, n_components, dtype=torch.float32):
        super().__init__()
        self.encoder = nn.Linear(64, n_components, dtype=dtype)
        self.decoder = nn.Linear(n_components, 64, dtype=dtype)

    def encode(self, x):
        return self.encoder(x.flatten(1).to(self.encoder.weight.dtype)).float()

    def decode(self, z):
        return self.decoder(z.to(self.decoder.weight.dtype)).float().reshape(-1, 1, 8, 8)


class Noise(nn.Module):
    """Noise of the user's, with all that a module can have."""

    def __init__(self, level):
        super().__init__()
        self.level, self.kinds = level, {"a": (1, 2.5), 3: None}
        self.blur = nn.Conv2d(1, 1, 3, padding=1)
        self.register_buffer("mean", torch.zeros(3, dtype=torch.bfloat16))

    def forward(self, x):
        return x + self.level * self.blur(x).detach()


class Holding(nn.Module):
    """Something that no file can hold."""

    def __init__(self, value):
        super().__init__()
        self.value = value

    def forward(self, x):
        return x


class Power:
    def __init__(self, power):
        self.power = power

    def __call__(self, output, target):
        return (output - target).abs() ** self.power


class Stateless:
    def __call__(self, output, target):
        return (output - target) ** 2


class Derived(ConvAutoencoder):
    pass


def brier(output, target):
    return (torch.sigmoid(output) - target) ** 2


def constant(share):
    return 1.0


@pytest.fixture(scope="module", params=ESTIMATORS, ids=lambda cls: cls.__name__)
def fitted(request):
    make = maker(request.param, input_shape=None, anomaly_score="joint", max_epochs=1)
    return make(calibration=0.3, random_state=np.random.RandomState(0)).fit(X, y)


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """A file, as bytes."""
    ae = maker(ConvAutoencoder, input_shape=None)(max_epochs=1, calibration=0.3).fit(X)
    return saved(ae, tmp_path_factory.mktemp("file") / "ae")


def saved(estimator, path):
    skcae.save(estimator, path)
    return path.read_bytes()


def reloaded(estimator, path, **options):
    skcae.save(estimator, path)
    return skcae.load(path, **options)


def written(data, path):
    path.write_bytes(data)
    return path


def learned(estimator):
    """What an estimator tells of data."""
    return [
        *(estimator.transform(X), estimator.reconstruct(X), estimator.score_samples(X)),
        *(estimator.p_values(X), estimator.offset_, estimator.loss_curve_),
        *([estimator.classes_] if hasattr(estimator, "classes_") else []),
    ]


def assert_same(one, other):
    for a, b in zip(learned(one), learned(other), strict=True):
        np.testing.assert_array_equal(a, b)


# What comes back ---------------------------------------------------------------------------------


def test_what_is_loaded_is_what_was_saved(fitted, tmp_path):
    loaded = reloaded(fitted, tmp_path / "ae")
    assert type(loaded) is type(fitted)
    assert loaded.history_.equals(fitted.history_)
    assert_same(loaded, fitted)
    assert saved(loaded, tmp_path / "again") == (tmp_path / "ae").read_bytes()
    twin = pickle.loads(pickle.dumps(fitted))
    assert_same(loaded.partial_fit(X[20::-1], y[20::-1]), twin.partial_fit(X[20::-1], y[20::-1]))


def test_names_of_features_and_the_output_come_back(tmp_path):
    frame = pd.DataFrame(X.reshape(50, -1)).add_prefix("pixel ")
    ae = maker(ConvAutoencoder)(max_epochs=1).set_output(transform="pandas").fit(frame)
    loaded = reloaded(ae, tmp_path / "ae")
    np.testing.assert_array_equal(loaded.feature_names_in_, frame.columns)
    assert loaded.transform(frame).equals(ae.transform(frame))


def test_folds_and_a_warm_start(tmp_path):
    make = maker(ConvAutoencoder, input_shape=None, anomaly_score="neighbors", max_epochs=1)
    ae = make(calibration=2, warm_start=True).fit(X)
    loaded = reloaded(ae, tmp_path / "ae")
    assert_same(loaded, ae)
    assert_same(loaded.fit(X), ae.fit(X))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64], ids=str)
def test_weights_of_other_types(dtype, tmp_path):
    ae = ConvAutoencoder(3, module=Own, net_params={"module__dtype": dtype}, max_epochs=1).fit(X)
    for other in (reloaded(ae, tmp_path / "ae", trusted=[Own]), pickle.loads(pickle.dumps(ae))):
        assert other.net_.module_.encoder.weight.dtype == dtype
        np.testing.assert_array_equal(other.transform(X), ae.transform(X))


VALUES = [
    (ConvAutoencoder, {"hidden_channels": [3], "kernel_size": (3,), "module": None}, []),
    (ConvAutoencoder, {"learning_rate": np.float32(0.1), "n_components": np.int64(3)}, []),
    (ConvAutoencoder, {"learning_rate": np.inf, "hidden_channels": np.array([3, 4])}, []),
    (ConvAutoencoder, {"device": torch.device("cuda", 3), "verbose": True}, []),
    (ConvAutoencoder, {"activation": nn.GELU, "optimizer": torch.optim.SGD}, []),
    (ConvAutoencoder, {"activation": partial(nn.LeakyReLU, 0.3)}, []),
    (ConvAutoencoder, {"net_params": {"optimizer__betas": (0.8, 0.9), "compile": True}}, []),
    (ConvAutoencoder, {"net_params": {"callbacks": [("own", Power(2))]}}, [Power]),
    (ConvAutoencoder, {"module": Own, "lr_schedule": constant}, [Own, constant]),
    (ConvAutoencoder, {"module": partial(Own, dtype=torch.float64)}, [Own]),
    (ConvAutoencoder, {"loss": Loss(brier, link=torch.sigmoid, power=2)}, [brier]),
    (ConvAutoencoder, {"loss": nn.HuberLoss(reduction="none")}, []),
    (ConvAutoencoder, {"loss": Power(1.5)}, [Power]),
    (ConvAutoencoder, {"loss": Stateless()}, [Stateless]),
    (ConvAutoencoder, {"anomaly_score": Score(code, partial(Mixture, 2))}, []),
    (DenoisingConvAutoencoder, {"corruption": Masking(0.2), "clip_range": (0, 1)}, []),
    (DenoisingConvAutoencoder, {"corruption": Noise(0.3)}, [Noise]),
    (ConvVAE, {"likelihood": Likelihood(brier), "prior": partial(GaussianMixture)}, [brier]),
    (Derived, {}, [Derived]),
]


def as_told(value):
    """A value that can be compared."""
    if isinstance(value, (nn.Module, Power, Stateless)):
        return type(value), {k: as_told(v) for k, v in sorted(vars(value).items())}
    if isinstance(value, partial):
        return value.func, value.args, value.keywords
    if isinstance(value, dict):
        return [(k, as_told(v)) for k, v in value.items()]
    if isinstance(value, (list, tuple)):
        return type(value), [as_told(v) for v in value]
    if isinstance(value, Score):
        return value.function, as_told(value.density)
    if isinstance(value, (np.ndarray, torch.Tensor)):
        return value.dtype, value.tolist()
    return type(value), value


@pytest.mark.parametrize(("cls", "parameters", "trusted"), VALUES)
def test_every_kind_of_parameter_comes_back(cls, parameters, trusted, tmp_path):
    loaded = reloaded(cls(**parameters), tmp_path / "ae", trusted=trusted)
    assert type(loaded) is cls
    for name, value in cls(**parameters).get_params(deep=False).items():
        expected, got = as_told(value), as_told(getattr(loaded, name))
        if not isinstance(value, nn.Module):
            assert got == expected, name
        else:
            assert str(got) == str(expected), name


def test_requests_of_metadata_come_back(tmp_path):
    with config_context(enable_metadata_routing=True):
        ae = DenoisingConvAutoencoder().set_score_request(target=True)
    loaded = reloaded(ae, tmp_path / "ae")
    assert loaded.get_metadata_routing().score.requests["target"] is True


def test_labels_of_any_type_come_back(tmp_path):
    dates = np.array(["2024-01-01", "2024-01-02"], "M8[D]")
    for classes in (dates, np.array(["a", "b"], object), np.arange(2, dtype=np.uint16)):
        vae = skcae.ConditionalConvVAE()
        vae.labels = classes
        got = reloaded(vae, tmp_path / "vae").labels
        assert got.dtype == classes.dtype
        np.testing.assert_array_equal(got, classes)


def test_what_was_fitted_on_a_device_that_is_not_there(tmp_path):
    ae = maker(ConvAutoencoder, input_shape=None)(max_epochs=1).fit(X)
    codes, ae.net_.device = ae.transform(X), "cuda:64"
    loaded = reloaded(ae, tmp_path / "ae")
    assert loaded.device_ == ("cuda" if torch.cuda.is_available() else "cpu")
    np.testing.assert_allclose(loaded.transform(X), codes, rtol=1e-3, atol=1e-3)


# What is refused ---------------------------------------------------------------------------------


def test_own_code_must_be_trusted(tmp_path):
    ae, path = ConvAutoencoder(module=Own, loss=brier), tmp_path / "ae"
    for trusted in ([], [brier]):
        with pytest.raises(ValueError, match=r"not part of skcae: .*trusted=\[Own"):
            reloaded(ae, path, trusted=trusted)
    for trusted in (Own, "Own", ["Own"], {"Own": Own}, [Power(2)]):
        with pytest.raises(TypeError, match=r"trusted=\[MyNetwork\]"):
            skcae.load(path, trusted=trusted)


def test_two_of_one_name_cannot_be_told_apart(tmp_path):
    with pytest.raises(ValueError, match="one of two with the name '<lambda>'"):
        skcae.save(ConvAutoencoder(module=lambda: 0, loss=lambda a, b: 0), tmp_path / "ae")


@pytest.mark.parametrize(
    "value",
    [np.random.default_rng(), range(3), np.log, iter([])],
    ids=lambda value: type(value).__name__,
)
def test_what_no_file_can_hold_is_named_and_leaves_the_old_file(value, file, tmp_path):
    path = written(file, tmp_path / "ae")
    with pytest.raises(ValueError, match=r"corruption.value is of the type .* joblib"):
        skcae.save(DenoisingConvAutoencoder(corruption=Holding(value)), path)
    assert path.read_bytes() == file
    assert os.listdir(tmp_path) == ["ae"]


def test_what_refers_to_itself(tmp_path):
    items = []
    items.append(items)
    with pytest.raises(ValueError, match="refers to itself"):
        skcae.save(DenoisingConvAutoencoder(corruption=Holding(items)), tmp_path / "ae")


def test_a_write_that_fails_leaves_the_old_file(file, tmp_path, monkeypatch):
    def fail(*arguments):
        raise OSError("no space left")

    path = written(file, tmp_path / "ae")
    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="no space left"):
        skcae.save(ConvAutoencoder(), path)
    assert path.read_bytes() == file
    assert os.listdir(tmp_path) == ["ae"]


def test_a_pipeline_is_told_what_to_do(tmp_path):
    pipeline = make_pipeline(FunctionTransformer(), ConvAutoencoder())
    for other in (pipeline, ConvAutoencoder, None):
        with pytest.raises(TypeError, match=r"pipeline\[-1\].*best_estimator_"):
            skcae.save(other, tmp_path / "ae")


DAMAGES = {
    "empty": (lambda file: b"", "of 0 bytes, is no file"),
    "text": (lambda file: b"codes\n" * 99, "something else"),
    "pickle": (lambda file: pickle.dumps(file), "a pickle"),
    "zip": (lambda file: b"PK\x03\x04" + file, "a zip"),
    "cut in the header": (lambda file: file[:999], "cut off or changed"),
    "cut": (lambda file: file[:-1], "cut off or changed"),
    "longer": (lambda file: file + b"\0", "cut off or changed"),
    "a weight": (lambda file: file[:-99] + bytes([file[-99] ^ 1]) + file[-98:], "checksum"),
    "a parameter": (lambda file: file.replace(b"one_cycle", b"on3_cycle"), "checksum"),
    "the checksum": (lambda file: file[:AT] + b"f" * (END - AT) + file[END:], "checksum"),
    "later": (lambda file: file.replace(b'format\\":1', b'format\\":9'), "written by skcae"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_what_is_no_whole_file_of_ours_is_told(damage, file, tmp_path):
    change, message = DAMAGES[damage]
    with pytest.raises(ValueError, match=message):
        skcae.load(written(change(file), tmp_path / "ae"))


def test_another_safetensors_file_is_told(tmp_path):
    from safetensors.torch import save_file

    save_file({"weight": torch.zeros(3)}, tmp_path / "other")
    with pytest.raises(ValueError, match=r"no file of skcae\.save"):
        skcae.load(tmp_path / "other")


def forged(file, change):
    """A file whose JSON was changed, and whose checksum is right again."""
    length = int.from_bytes(file[:8], "little")
    header = json.loads(file[8 : 8 + length])
    about = json.loads(header["__metadata__"]["skcae"])
    about["sha256"] = "0" * (END - AT)
    change(about["estimator"]["$object"][1])
    header["__metadata__"]["skcae"] = json.dumps(about, separators=(",", ":"))
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    assert text.startswith(START)
    return _seal(len(text).to_bytes(8, "little") + text + file[8 + length :])


def arguments_of(state):
    return state["net_"]["$object"][1]["arguments"]


FORGERIES = {
    "a name": lambda state: state.update(module={"$name": "os.system"}),
    "a name of yours": lambda state: state.update(module={"$trusted": "system"}),
    "a kind": lambda state: state.update(module={"$exec": "1"}),
    "a method": lambda state: state.update(transform={"$name": "print"}),
    "no network": lambda state: arguments_of(state).update(module={"$name": "nn.Linear"}),
    "a large network": lambda state: arguments_of(state).update(module__n_components=10**9),
    "no net": lambda state: state.pop("net_"),
    "another shape": lambda state: state.update(n_features_in_=65),
    "pickled objects": lambda state: state.update(module={"$array": ["|O", [1], "x"]}),
    "a random state": lambda state: state.update(
        random_state={"$random_state": {"bit_generator": "MT19937", "state": {"pos": 10**6}}}
    ),
}


@pytest.mark.parametrize("forgery", FORGERIES)
def test_a_forged_file_builds_nothing(forgery, file, tmp_path):
    assert forged(file, lambda state: None) == file
    with pytest.raises(ValueError, match="does not hold an estimator that can be built here"):
        skcae.load(written(forged(file, FORGERIES[forgery]), tmp_path / "ae"))


def test_damaged_and_forged_files(file, tmp_path):
    """The first of those of the benchmark, with two files."""
    originals = [file, saved(fuzz.unfitted(), tmp_path / "file")]
    for number in range(120):
        data, original = fuzz.draw_file(number, 2026, originals)
        assert fuzz.run_file(tmp_path / "file", data, original)[1] is None, number


# Releases ----------------------------------------------------------------------------------------


KINDS = ConvAutoencoder, skcae.ConditionalConvVAE


@pytest.mark.parametrize("path", sorted(KEPT.glob("*.safetensors")), ids=lambda path: path.stem)
def test_files_of_earlier_releases_are_loaded(path):
    loaded, results = skcae.load(path), np.load(path.with_suffix(".npz"))
    np.testing.assert_allclose(loaded.transform(X), results["codes"], rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(loaded.score_samples(X), results["scores"], rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(loaded.threshold(0.1), results["threshold"], rtol=1e-3, atol=1e-3)
    loaded.partial_fit(X, y)


def test_files_of_this_release_are_kept():
    assert {f"{release()}-{cls.__name__}" for cls in KINDS} <= {p.stem for p in KEPT.glob("*.npz")}


def keep_files():
    KEPT.mkdir(exist_ok=True)
    for cls in KINDS:
        make = maker(cls, n_components=2, hidden_channels=(2,), max_epochs=1, input_shape=None)
        estimator = make(calibration=0.3).fit(X, y)
        path = KEPT / f"{release()}-{cls.__name__}.safetensors"
        skcae.save(estimator, path)
        np.savez_compressed(
            path.with_suffix(".npz"),
            codes=estimator.transform(X),
            scores=estimator.score_samples(X),
            threshold=estimator.threshold(0.1),
        )


def release():
    return ".".join(skcae.__version__.split(".")[:2])


if __name__ == "__main__":
    keep_files()

"""Tests of `skcae.datasets`."""

import gzip
import os
from urllib.error import URLError

import numpy as np
import pytest

from skcae.datasets import _mnist, fetch_fashion_mnist, fetch_mnist

FETCHERS = {"mnist": fetch_mnist, "fashion-mnist": fetch_fashion_mnist}
OPENML_NAMES = {"mnist": "mnist_784", "fashion-mnist": "Fashion-MNIST"}
N_SAMPLES = {"train": 60_000, "test": 10_000}
ZEROS_AND_ONES = {
    ("mnist", "train"): (5923, 6742),
    ("mnist", "test"): (980, 1135),
    ("fashion-mnist", "train"): (6000, 6000),
    ("fashion-mnist", "test"): (1000, 1000),
}

needs_data = pytest.mark.skipif(
    not os.environ.get("SKCAE_DATA"),
    reason="SKCAE_DATA does not name a folder with the MNIST and Fashion-MNIST files",
)


def write_idx(path, values):
    """An IDX file: two zero bytes, type (8: unsigned byte), number of axes, sides, values."""
    header = np.array([0x0800 + values.ndim, *values.shape], ">u4").tobytes()
    with gzip.open(path, "wb") as file:
        file.write(header + values.astype(np.uint8).tobytes())


@pytest.fixture
def small_files(tmp_path, monkeypatch):
    """Five samples in each file; the images and labels by dataset and subset."""
    monkeypatch.setenv("SKCAE_DATA", str(tmp_path))
    rng, data = np.random.default_rng(0), {}
    for folder in FETCHERS:
        (tmp_path / folder).mkdir()
        for subset, stem in (("train", "train"), ("test", "t10k")):
            images, labels = rng.integers(256, size=(5, 28, 28)), rng.integers(10, size=5)
            write_idx(tmp_path / folder / f"{stem}-images-idx3-ubyte.gz", images)
            write_idx(tmp_path / folder / f"{stem}-labels-idx1-ubyte.gz", labels)
            data[folder, subset] = images, labels
    return data


@pytest.fixture
def openml(monkeypatch):
    """Calls of `fetch_openml`, which returns 70 000 images filled with their index."""
    monkeypatch.delenv("SKCAE_DATA", raising=False)
    calls = []

    def fetch_openml(name, *, return_X_y, as_frame, **options):
        assert return_X_y
        assert not as_frame
        calls.append((name, options))
        index = np.arange(70_000)
        images = np.broadcast_to((index % 256)[:, np.newaxis], (70_000, 784))
        return images, (index % 10).astype(str).astype(object)

    monkeypatch.setattr(_mnist, "fetch_openml", fetch_openml)
    return calls


@needs_data
@pytest.mark.parametrize("subset", N_SAMPLES)
@pytest.mark.parametrize("folder", FETCHERS)
def test_real_data(folder, subset):
    data = FETCHERS[folder](subset)
    assert data.images.shape == (N_SAMPLES[subset], 28, 28)
    assert data.images.dtype == np.uint8
    assert (data.images.min(), data.images.max()) == (0, 255)
    assert data.target.shape == (N_SAMPLES[subset],)
    assert data.target.dtype == np.int64
    assert tuple(np.bincount(data.target)[:2]) == ZEROS_AND_ONES[folder, subset]
    assert len(data.target_names) == len(np.unique(data.target)) == 10


@needs_data
def test_real_mnist_begins_with_a_five():
    images, target = fetch_mnist(return_X_y=True)
    assert target[:3].tolist() == [5, 0, 4]
    # Digits are centred: the border is empty, the middle is not.
    assert images[:100, :, 0].max() == 0
    assert images[:100, 14].max() > 200


@pytest.mark.parametrize("subset", N_SAMPLES)
@pytest.mark.parametrize("folder", FETCHERS)
def test_files_are_read(small_files, folder, subset):
    images, target = FETCHERS[folder](subset, return_X_y=True)
    expected_images, expected_target = small_files[folder, subset]
    np.testing.assert_array_equal(images, expected_images)
    np.testing.assert_array_equal(target, expected_target)
    assert images.dtype == np.uint8
    assert target.dtype == np.int64


def test_training_data_are_the_default(small_files):
    np.testing.assert_array_equal(fetch_mnist().images, small_files["mnist", "train"][0])


def test_bunch_and_pair_are_the_same(small_files):
    bunch, pair = fetch_mnist("test"), fetch_mnist("test", return_X_y=True)
    np.testing.assert_array_equal(bunch.images, pair[0])
    np.testing.assert_array_equal(bunch.target, pair[1])


def test_arrays_are_writable(small_files):
    data = fetch_mnist()
    data.images[0] = 0
    data.target[0] = 0
    assert data.images[0].max() == 0


def test_target_names(small_files):
    assert fetch_mnist().target_names == [str(digit) for digit in range(10)]
    names = fetch_fashion_mnist().target_names
    assert (names[0], names[9]) == ("T-shirt", "ankle boot")


@pytest.mark.parametrize("folder", FETCHERS)
def test_missing_file(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("SKCAE_DATA", str(tmp_path))
    with pytest.raises(FileNotFoundError, match=r"train-images-idx3-ubyte.gz is missing") as info:
        FETCHERS[folder]()
    assert f"must name the folder that holds {folder}/" in str(info.value)


@pytest.mark.parametrize("change", [
    lambda content: content[:-20],
    lambda content: gzip.compress(gzip.decompress(content)[:-1]),
    lambda content: gzip.compress(b"<html>" + gzip.decompress(content)),
    gzip.decompress,
], ids=["truncated", "too short", "a web page", "not compressed"])  # fmt: skip
@pytest.mark.parametrize("kind", ["images-idx3", "labels-idx1"])
def test_broken_file(small_files, tmp_path, kind, change):
    path = tmp_path / f"mnist/train-{kind}-ubyte.gz"
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(ValueError, match=rf"{kind}-ubyte.gz is truncated, or no.* SKCAE_DATA to"):
        fetch_mnist()


def test_files_of_different_data_sets(small_files, tmp_path):
    write_idx(tmp_path / "mnist/train-labels-idx1-ubyte.gz", np.zeros(4))
    with pytest.raises(ValueError, match=r"\(5, 28, 28\) and 4 labels.*unset SKCAE_DATA"):
        fetch_mnist()


@pytest.mark.parametrize("fetch", FETCHERS.values())
@pytest.mark.parametrize("subset", ["all", "t10k", None])
def test_unknown_subset(fetch, subset):
    with pytest.raises(ValueError, match=r"is unknown; choose 'train' or 'test'"):
        fetch(subset)


@pytest.mark.parametrize("folder", FETCHERS)
def test_download(openml, folder):
    train, test = FETCHERS[folder]("train"), FETCHERS[folder]("test")
    assert [name for name, _ in openml] == [OPENML_NAMES[folder]] * 2
    assert openml[0][1]["version"] == 1
    for data, first, n_samples in ((train, 0, 60_000), (test, 60_000, 10_000)):
        assert data.images.shape == (n_samples, 28, 28)
        assert data.images.dtype == np.uint8
        assert data.target.dtype == np.int64
        assert data.images[0, 0, 0] == first % 256
        assert data.target[:3].tolist() == [0, 1, 2]


def test_files_come_before_download(small_files, monkeypatch):
    def fetch_openml(*args, **kwargs):
        raise AssertionError("downloads although there are files")

    monkeypatch.setattr(_mnist, "fetch_openml", fetch_openml)
    assert len(fetch_mnist().images) == 5


@pytest.mark.parametrize("folder", FETCHERS)
@pytest.mark.parametrize("error", [URLError("no route"), TimeoutError("timed out")])
def test_without_a_connection(monkeypatch, folder, error):
    def fetch_openml(*args, **kwargs):
        raise error

    monkeypatch.delenv("SKCAE_DATA", raising=False)
    monkeypatch.setattr(_mnist, "fetch_openml", fetch_openml)
    with pytest.raises(OSError, match=rf"SKCAE_DATA to a folder that holds {folder}/"):
        FETCHERS[folder]("test")

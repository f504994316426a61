"""MNIST and Fashion-MNIST, from files or by download."""

import gzip
import os
import zlib
from pathlib import Path

import numpy as np
from sklearn.datasets import fetch_openml
from sklearn.utils import Bunch

FASHION_NAMES = [
    "T-shirt",
    "trouser",
    "pullover",
    "dress",
    "coat",
    "sandal",
    "shirt",
    "sneaker",
    "bag",
    "ankle boot",
]


def fetch_mnist(subset="train", *, return_X_y=False):
    """Handwritten digits: 60 000 training and 10 000 test images of 28 x 28 pixels.

    The files ``{train,t10k}-{images-idx3,labels-idx1}-ubyte.gz`` are read from the folder
    ``mnist`` in the folder that the environment variable ``SKCAE_DATA`` names. Without that
    variable the data are downloaded by :func:`sklearn.datasets.fetch_openml`, which caches them.

    Parameters
    ----------
    subset : {"train", "test"}, default="train"
        Which part.
    return_X_y : bool, default=False
        Return ``(images, target)`` instead of a Bunch.

    Returns
    -------
    data : Bunch
        `images` of shape (n_samples, 28, 28), uint8; `target` of shape (n_samples,), int64;
        `target_names`, list of str.

    References
    ----------
    LeCun, Y., Bottou, L., Bengio, Y. and Haffner, P. (1998). Gradient-based learning applied to
    document recognition. Proceedings of the IEEE 86, 2278-2324.
    """
    return _fetch("mnist", "mnist_784", [str(i) for i in range(10)], subset, return_X_y)


def fetch_fashion_mnist(subset="train", *, return_X_y=False):
    """Clothing: 60 000 training and 10 000 test images of 28 x 28 pixels.

    Found as for :func:`fetch_mnist`, in the folder ``fashion-mnist``.

    Parameters
    ----------
    subset : {"train", "test"}, default="train"
        Which part.
    return_X_y : bool, default=False
        Return ``(images, target)`` instead of a Bunch.

    Returns
    -------
    data : Bunch
        `images` of shape (n_samples, 28, 28), uint8; `target` of shape (n_samples,), int64;
        `target_names`, list of str.

    References
    ----------
    Xiao, H., Rasul, K. and Vollgraf, R. (2017). Fashion-MNIST: a novel image dataset for
    benchmarking machine learning algorithms. arXiv:1708.07747.
    """
    return _fetch("fashion-mnist", "Fashion-MNIST", FASHION_NAMES, subset, return_X_y)


def _fetch(folder, openml_name, target_names, subset, return_X_y):
    if subset not in ("train", "test"):
        raise ValueError(f"subset={subset!r} is unknown; choose 'train' or 'test'.")
    root = os.environ.get("SKCAE_DATA")
    if root:
        images, target = _read(Path(root) / folder, subset)
    else:
        images, target = _load(openml_name, folder, subset)
    if return_X_y:
        return images, target
    return Bunch(images=images, target=target, target_names=target_names)


def _read(folder, subset):
    stem = {"train": "train", "test": "t10k"}[subset]
    images = _read_idx(folder / f"{stem}-images-idx3-ubyte.gz", n_axes=3)
    target = _read_idx(folder / f"{stem}-labels-idx1-ubyte.gz", n_axes=1)
    if images.shape != (len(target), 28, 28):
        raise ValueError(
            f"{folder} has {stem} images of shape {images.shape} and {len(target)} labels, which "
            f"are not of one data set; get both anew, or unset SKCAE_DATA to download the data."
        )
    return images, target.astype(np.int64)


def _read_idx(path, n_axes):
    """An IDX file: two zero bytes, the type (8: unsigned byte), number of axes, sides, values."""
    if not path.exists():
        raise FileNotFoundError(
            f"{path} is missing; SKCAE_DATA must name the folder that holds {path.parent.name}/, "
            f"or be unset to download the data."
        )
    try:
        with gzip.open(path) as file:
            content = file.read()
        magic, *shape = np.frombuffer(content, ">u4", 1 + n_axes).tolist()
        values = np.frombuffer(content, np.uint8, offset=4 + 4 * n_axes)
        if magic != 0x0800 + n_axes:
            raise ValueError(f"it begins with {content[:4]!r}")
        return values.reshape(shape).copy()
    except (OSError, EOFError, zlib.error, ValueError) as error:
        raise ValueError(
            f"{path} is truncated, or no gzipped IDX file ({error}); get it anew, or unset "
            f"SKCAE_DATA to download the data."
        ) from error


def _load(openml_name, folder, subset):
    try:
        images, target = fetch_openml(
            openml_name, version=1, return_X_y=True, as_frame=False, parser="liac-arff"
        )
    except OSError as error:
        raise OSError(
            f"{openml_name} cannot be downloaded from openml.org ({error}); connect to the "
            f"internet, or set the environment variable SKCAE_DATA to a folder that holds "
            f"{folder}/ with its four files."
        ) from error
    part = slice(60_000) if subset == "train" else slice(60_000, None)
    return images[part].astype(np.uint8).reshape(-1, 28, 28), target[part].astype(np.int64)

"""What is given in place of an array: read where its meaning is plain, and otherwise named."""

from contextlib import contextmanager

import numpy as np
from torch.utils.data import DataLoader, Dataset, IterableDataset


def read_dataset(X, name="X"):
    """The samples of a data set of PyTorch that holds nothing else; anything else as it is."""
    if isinstance(X, (DataLoader, IterableDataset)):
        raise TypeError(
            f"{name} is a {type(X).__name__}, which yields data in turn; pass all samples as one "
            f"array, as torch.cat([images for images, *_ in loader]) is, or call partial_fit for "
            f"each batch."
        )
    if hasattr(X, "collect") and not (hasattr(X, "__array__") or isinstance(X, Dataset)):
        raise TypeError(
            f"{name} is a {type(X).__name__}, which has no values yet; pass {name}.collect()."
        )
    if not isinstance(X, Dataset):
        return X
    if len(X) and isinstance(X[0], (tuple, list, dict)):
        raise TypeError(
            f"{name} is a {type(X).__name__}, each item of which is a {type(X[0]).__name__}; pass "
            f"the samples alone, for instance torch.stack([image for image, *_ in dataset])."
        )
    return [X[i] for i in range(len(X))]


def refuse_pair(X):
    """A tuple of two arrays of images, which is not meant to be two volumes to learn from."""
    if isinstance(X, tuple) and len(X) == 2 and all(len(_shape(part) or ()) > 2 for part in X):
        raise TypeError(
            f"X is a pair of arrays of shapes {_shape(X[0])} and {_shape(X[1])}; pass the samples "
            f"alone, and the clean half of pairs as target of DenoisingConvAutoencoder. If they "
            f"are two volumes, pass np.stack(X)."
        )


def refuse_masked(X, name):
    """A masked array, or lists of them, whose masked values would be used like the others."""
    n_masked = _count_masked(X)
    if n_masked:
        alone = isinstance(X, np.ma.MaskedArray)
        kind = "masked array" if alone else "list of masked arrays"
        way = f"with {name}.filled(np.ma.median({name}))" if alone else "each by its own filled"
        raise ValueError(
            f"{name} is a {kind} with {n_masked} masked values, and every value is used; fill "
            f"them first, for instance {way}."
        )


def _count_masked(X):
    """Masked values; of a list that begins with a number there is nothing to look at."""
    if isinstance(X, (list, tuple)):
        holds_more = len(X) > 0 and isinstance(X[0], (list, tuple, np.ndarray))
        return sum(map(_count_masked, X)) if holds_more else 0
    return np.ma.count_masked(X) if isinstance(X, np.ma.MaskedArray) else 0


@contextmanager
def explaining(X, shape=None, name="X"):
    """Where data cannot be read, say what they are and what to pass, as far as that is seen.

    ``shape`` is that of one sample, where it is known.
    """
    try:
        yield
    except (TypeError, ValueError, RuntimeError) as error:
        if isinstance(X, (Dataset, DataLoader)):  # told already, and costly to look at
            raise
        if text := _explain_type(X, name):
            raise TypeError(text) from error
        if text := _explain_one(X, shape, name) or _explain_many(X, name):
            raise ValueError(text) from error
        raise


def _explain_type(X, name):
    """For what is no array."""
    kind = type(X).__name__
    if hasattr(X, "toarray"):  # sparse ones are named already; some are dicts too
        return None
    if isinstance(X, dict):
        return f"{name} is a dict with the keys {[*X][:5]}; pass the array of samples in it."
    if hasattr(X, "__next__"):
        return f"{name} is of type {kind}, to be read only once; pass np.stack(list({name}))."
    if X is None or isinstance(X, (str, bytes)) or hasattr(X, "__fspath__"):
        return f"{name} is {X!r}; read the data before, and pass an array of samples."
    return None


def _explain_one(X, shape, name):
    """For one sample in place of several."""
    given = _shape(X)
    if shape is None or given not in (tuple(shape), (int(np.prod(shape)),)):
        return None
    return (
        f"{name} has the shape {given} of one sample, but samples are needed along a first axis. "
        f"Reshape your data with np.expand_dims({name}, 0)."
    )


def _explain_many(X, name):
    """For samples that make no array of numbers."""
    if isinstance(X, tuple) and len(X) == 2 and len(_shape(X[0]) or ()) > 1:
        return f"{name} is a pair; pass the samples alone, and labels as y."
    if isinstance(X, (list, tuple)):
        return _explain_list(X, name)
    if not any(_shape(cell) for cell in _first_cells(X)):
        return None
    column = "" if len(_shape(X) or (1,)) == 1 else "[column]"
    return (
        f"{name} is of type {type(X).__name__} and has arrays in its cells; pass one array of all "
        f"samples, np.stack({name}{column})."
    )


def _explain_list(X, name):
    first = X[0] if X else None
    if isinstance(first, (tuple, list)) and _shape(first) is None and _shape(first[0]):
        return (
            f"{name} is a list of pairs, or of lists that are no arrays; pass the samples alone, "
            f"np.stack([image for image, _ in {name}])."
        )
    shapes = sorted({shape for item in X if (shape := _shape(item)) is not None})
    if len(shapes) < 2:
        return None
    return (
        f"{name} is a list of samples of different shapes, {shapes[0]} and {shapes[-1]} among "
        f"them; one shape is needed, so crop, pad or resize them."
    )


def _first_cells(X):
    """The first cell of each column."""
    try:
        return [] if hasattr(X, "toarray") else np.array(X[:1], dtype=object).ravel()
    except (TypeError, ValueError, RuntimeError, LookupError):
        return []


def _shape(X):
    """The shape of anything, or None."""
    try:
        return tuple(X.shape if hasattr(X, "shape") else np.shape(X))
    except (TypeError, ValueError, RuntimeError):
        return None

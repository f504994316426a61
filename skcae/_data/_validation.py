"""Checks of the user's arrays, with errors that say what to do."""

from functools import partial

import numpy as np
import torch
from sklearn import get_config
from sklearn.utils import assert_all_finite, check_array
from sklearn.utils.validation import validate_data

from ._kinds import explaining, read_dataset, refuse_masked
from ._layout import advise_shape
from ._ranges import warn_other_unit
from ._stored import Stored, blocks, stored_or_array

# The value of each parameter that takes any real data.
ANY_REAL = {"loss": "squared_error", "likelihood": "gaussian"}
# What rounding in single precision, which the network has, may leave outside [0, 1].
ROUNDING = 1e-6


def is_foreign(array):
    """Whether it is an array in memory of another library than NumPy."""
    return hasattr(array, "__dlpack__") and not isinstance(array, (np.ndarray, np.generic))


def as_numpy(array):
    """Arrays of other libraries, on any device, as NumPy's; anything else as it is."""
    if isinstance(array, torch.Tensor):
        array = array.detach().resolve_conj().resolve_neg().cpu()
        return (array.float() if array.dtype is torch.bfloat16 else array).numpy()
    if isinstance(array, (list, tuple)) and array and isinstance(array[0], torch.Tensor):
        return [as_numpy(item) for item in array]
    if not is_foreign(array):
        return array
    return array.get() if hasattr(array, "get") else np.asarray(array)


def to_rows(X, name="X"):
    """Images to rows, with the shape of an image; anything else as it is, with None."""
    X = read_dataset(X, name)
    refuse_masked(X, name)
    if hasattr(X, "iloc") or hasattr(X, "toarray") or hasattr(X, "__dataframe__"):
        return X, None
    X = stored_or_array(as_numpy(X))
    if isinstance(X, Stored):
        shape = tuple(X.array.shape[1:])
        return X, shape if len(shape) > 1 else None
    array = np.asarray(X)
    if array.ndim < 3:
        return X, None
    return array.reshape(len(array), int(np.prod(array.shape[1:]))), array.shape[1:]


def validate_rows(estimator, X, reset=False):
    """Rows ``(n_samples, n_features)``, and the shape of a sample if `X` came as images."""
    X, image_shape = to_rows(X)
    if isinstance(X, Stored):
        validate_data(estimator, X, reset=reset, skip_check_array=True)
        _check_when_read(X, partial(assert_all_finite, input_name="X"))
    else:
        X = validate_data(estimator, X, reset=reset, dtype="numeric")
    _check_numeric(X, "X")
    return X, image_shape


def validate_target(target, rows, layout):
    """Rows of the clean half of pairs, one for each of ``rows``."""
    with explaining(target, name="target"):
        target, image_shape = to_rows(target, "target")
        if isinstance(target, Stored):
            _check_when_read(target, partial(assert_all_finite, input_name="target"))
        else:
            target = check_array(target, input_name="target", dtype="numeric")
        _check_numeric(target, "target")
    if target.shape != rows.shape or image_shape not in (None, layout.shape):
        given = image_shape or target.shape[1:]
        advice = "pass the clean version of each sample of X"
        if len(target) == len(rows) and image_shape is not None:
            advice = advise_shape(given, layout.shape, "target")
        raise ValueError(
            f"target has {len(target)} samples of shape {given}, but X has {len(rows)} of shape "
            f"{layout.shape}; {advice}."
        )
    return target


def validate_codes(Z):
    """Codes ``(n_samples, n_components)`` in single precision."""
    refuse_masked(Z, "Z")
    Z = stored_or_array(as_numpy(Z))
    check = partial(check_array, dtype=np.float32, input_name="Z")
    if not isinstance(Z, Stored):
        return check(Z)
    check(np.zeros((1, *Z.array.shape[1:]), Z.dtype))  # its shape and type, at once
    _check_when_read(Z, check)
    return Z


def check_unit_interval(rows, scaling, parameter, name="X", when_read=False):
    """Whether all values lie where cross-entropy needs them; of stored rows now or when read."""
    check = partial(_check_unit_interval, scaling=scaling, parameter=parameter, name=name)
    if when_read and isinstance(rows, Stored):
        rows.checks.append(check)
        return
    for block in blocks(rows):
        check(block)


def _check_unit_interval(rows, scaling, parameter, name):
    low, high, unit = rows.min(), rows.max(), scaling.unit
    eps = np.finfo(rows.dtype).eps if rows.dtype.kind == "f" else 0
    slack = max(ROUNDING, 8 * eps) * unit
    if low < -slack or high > unit + slack:
        kind = parameter.partition("=")[0]
        other = f", or use {kind}={ANY_REAL[kind]!r}" if kind in ANY_REAL else ""
        if unit == 1 and rows.dtype.kind in "iu" and low >= 0:
            other += "; integers that are all 0 or 1 in fit are taken as they are"
        raise ValueError(
            f"{parameter} needs values in [0, {unit:g}], but {name} has values from {low!s} to "
            f"{high!s}; clip it where only noise is beyond, rescale it, for instance with "
            f"MinMaxScaler(clip=True){other}."
        )


def check_range(rows, scaling):
    """Whether rows can have the units that ``fit`` learned: an error, or a warning."""
    check_precision(rows, scaling)
    warn_other_unit(rows, scaling.seen)


def check_precision(rows, scaling, name="X"):
    """Whether single precision can hold rows, standardized too; of stored ones when read."""
    check = partial(scaling.check, name=name)
    if isinstance(rows, Stored):
        _check_when_read(rows, check)
    else:
        check(rows)


def _check_numeric(rows, name):
    if rows.dtype.kind not in "biuf":
        raise ValueError(
            f"{name} has values of type {rows.dtype}; numbers are needed, so convert it first, "
            f"for instance with astype(float)."
        )


def _check_when_read(stored, check):
    """Check values in the thread that reads them, which does not know ``assume_finite``."""
    if not get_config()["assume_finite"]:
        stored.checks.append(check)

"""Arrays of other libraries: taken as they are, results of their kind on their device."""

from functools import wraps
from inspect import isfunction, signature

import numpy as np
import torch
from sklearn import get_config
from sklearn.utils._array_api import (
    _convert_to_numpy,
    _max_precision_float_dtype,
    get_namespace_and_device,
)


class FollowsInput:
    """Makes the public methods of our estimators return arrays of the kind of their input.

    They do so under scikit-learn's ``array_api_dispatch``; otherwise arrays are NumPy's. Nothing
    that is learned is of any kind, so a model fitted on one kind serves all. The methods that a
    subclass of the user's adds are left as they are.
    """

    def __init_subclass__(cls, **options):
        super().__init_subclass__(**options)
        for name, method in list(vars(cls).items()):
            ours = isfunction(method) and method.__module__.startswith(f"{__package__}.")
            if ours and not name.startswith("_") and DATA & signature(method).parameters.keys():
                setattr(cls, name, _follows_input(method))


DATA = {"X", "X_from", "Z", "y"}


def _follows_input(method):
    parameters = signature(method)

    @wraps(method)
    def follow(self, *args, **kwargs):
        if not get_config()["array_api_dispatch"]:
            return method(self, *args, **kwargs)
        given = parameters.bind(self, *args, **kwargs)
        data = {k: v for k, v in given.arguments.items() if k not in ("self", "out")}
        arrays = [v for v in data.values() if hasattr(v, "__array__") or is_foreign(v)]
        for name, value in data.items():
            if is_foreign(value):
                given.arguments[name] = _to_numpy(value)
        result = method(*given.args, **given.kwargs)
        if not arrays or not is_foreign(arrays[0]) or result is given.arguments.get("out"):
            return result
        return _like(arrays[0], result)

    return follow


def is_foreign(array):
    """Whether it is an array in memory of another library than NumPy."""
    return hasattr(array, "__dlpack__") and not isinstance(array, (np.ndarray, np.generic))


def _to_numpy(array):
    if isinstance(array, torch.Tensor):
        array = array.detach().resolve_conj().resolve_neg()
        array = array.float() if array.dtype is torch.bfloat16 else array
    return _convert_to_numpy(array, get_namespace_and_device(array)[0])


def _like(array, result):
    """Arrays in ``result``, which may be a tuple, as those of ``array``."""
    if isinstance(result, tuple):
        results = [_like(array, part) for part in result]
        return type(result)(*results) if hasattr(result, "_fields") else tuple(results)
    if not isinstance(result, np.ndarray):
        return result
    xp, _, device = get_namespace_and_device(array)
    if result.dtype == np.float64:  # some devices have single precision only
        return xp.asarray(result, dtype=_max_precision_float_dtype(xp, device), device=device)
    return xp.asarray(result, device=device)

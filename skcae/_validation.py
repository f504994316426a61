"""Checks of parameters and data, with errors that say what to do."""

import os

import numpy as np
import torch
from sklearn.utils import check_random_state

from ._distributed import rank_and_size
from ._stored import Stored, stored_or_array

# The value of each parameter that takes any real data.
ANY_REAL = {"loss": "squared_error", "likelihood": "gaussian"}
NET_NAMES = ("callbacks", "compile")
NET_PREFIXES = ("module__", "optimizer__", "callbacks__", "compile__")


def row(table, value):
    return value if callable(value) else table[value]


def batch_size(batch_size, n_samples):
    """For "auto" about 50 steps an epoch, with 16 to 128 samples each."""
    return min(max(n_samples // 50, 16), 128) if batch_size == "auto" else batch_size


def draw_seed(random_state):
    """An int from ``random_state``; None draws from the system, not from numpy's global state."""
    if random_state is None:
        return int(np.random.default_rng().integers(2**31 - 1))
    return int(check_random_state(random_state).randint(2**31 - 1))


def resolve_device(device):
    """The device to use, checked."""
    if str(device) == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        kind = torch.device(device).type
    except RuntimeError as error:
        raise ValueError(
            f"device={device!r} is unknown; pass 'auto', 'cpu', 'cuda' or 'cuda:<index>'."
        ) from error
    if kind not in ("cpu", "cuda"):
        raise ValueError(
            f"device={str(device)!r} is not supported; pass 'auto', 'cpu', 'cuda' or "
            f"'cuda:<index>'."
        )
    if kind == "cuda" and not torch.cuda.is_available():
        raise ValueError(
            f"device={str(device)!r} was asked for, but torch finds no CUDA device; pass "
            f"device='auto' or 'cpu', or install a torch build with CUDA."
        )
    own = os.environ.get("LOCAL_RANK") if rank_and_size()[1] > 1 else None
    return f"cuda:{own}" if str(device) == "cuda" and own is not None else str(device)


def check_net_params(net_params):
    net_params = net_params or {}
    if not isinstance(net_params.get("callbacks") or [], (list, tuple)):
        raise ValueError("net_params['callbacks'] must be a list of skorch callbacks.")
    if not isinstance(net_params.get("compile", False), bool):
        raise ValueError(f"net_params['compile'] is {net_params['compile']!r}; pass a bool.")
    for name in net_params:
        if name == "optimizer__lr":
            raise ValueError(
                "net_params has the entry 'optimizer__lr'; set learning_rate instead."
            )
        if name not in NET_NAMES and not str(name).startswith(NET_PREFIXES):
            raise ValueError(
                f"net_params has the entry {name!r}; valid are 'callbacks', 'compile' and names "
                f"that start with {', '.join(map(repr, NET_PREFIXES))}. Everything else is a "
                f"parameter of the estimator itself."
            )
    return net_params


def flatten(X):
    """Images to rows, with the shape of an image; anything else as it is, with None."""
    if hasattr(X, "iloc") or hasattr(X, "toarray") or hasattr(X, "__dataframe__"):
        return X, None
    X = stored_or_array(X)
    if isinstance(X, Stored):
        shape = tuple(X.array.shape[1:])
        return X, shape if len(shape) > 1 else None
    array = np.asarray(X)
    if array.ndim < 3:
        return X, None
    return array.reshape(len(array), int(np.prod(array.shape[1:]))), array.shape[1:]


def check_numeric(rows, name="X"):
    if rows.dtype.kind not in "biuf":
        raise ValueError(
            f"{name} has values of type {rows.dtype}; numbers are needed, so convert it first, "
            f"for instance with astype(float)."
        )


def check_unit_interval(rows, scaling, parameter, name="X"):
    low, high = rows.min(), rows.max()
    if low < 0 or high > scaling.scale:
        raise ValueError(
            f"{parameter} needs values in [0, {scaling.scale:g}], but {name} has values from "
            f"{low:g} to {high:g}; rescale it, for instance with MinMaxScaler(clip=True), or use "
            f"{parameter.partition('=')[0]}={ANY_REAL[parameter.partition('=')[0]]!r}."
        )

"""The options of the network, `net_params`: what they may be, and what has moved there."""

import copy
import functools
from numbers import Real

import numpy as np
from torch.nn import Module

from ._net._compiled import check_compiling
from ._net._skorch import check_callbacks, copy_callbacks

NET_PREFIXES = ("module__", "optimizer__", "callbacks__", "compile__")
NET_OPTIONS = ("callbacks", "compile", "augmentation")
BOUND_OPTIONS = {"kl_warmup": (0, 1), "free_bits": (0, np.inf)}
MOVED = {
    **dict.fromkeys(("tied_weights", "downsampling", "upsampling"), "module__{}"),
    **dict.fromkeys(("kl_warmup", "free_bits"), "{}"),
}


def check_net_params(net_params, given, variational):
    """Copies of the entries of `net_params`, none of which is among the parameters ``given``.

    ``given`` maps the entries that the estimator itself makes to their parameters, or to None
    where they follow from the data.
    """
    entries = dict(net_params or {})
    names = [*NET_OPTIONS, *(BOUND_OPTIONS if variational else ())]
    for name, value in entries.items():
        if name in given:
            sets = f"the parameter {given[name]}" if given[name] else "the data"
            way = f"set {given[name]} alone" if given[name] else "take it out"
            raise ValueError(f"net_params has the entry {name!r}, but {sets} sets it; {way}.")
        if name not in names and not str(name).startswith(NET_PREFIXES):
            raise ValueError(
                f"net_params has the entry {name!r}; valid are {', '.join(map(repr, names))} and "
                f"names that start with {', '.join(map(repr, NET_PREFIXES))}. Everything else is "
                f"a parameter of the estimator itself."
            )
        _check_net_option(name, value)
    check_callbacks(entries)
    check_compiling(entries)
    if "callbacks" in entries:
        entries["callbacks"] = copy_callbacks(entries["callbacks"])
    return entries


def _check_net_option(name, value):
    if name == "augmentation" and not isinstance(value, Module | None):
        raise ValueError(
            f"net_params['augmentation'] is {value!r}; pass an instance of a torch.nn.Module, as "
            f"skcae.augmentations.Shift(1) is."
        )
    if name == "compile" and not isinstance(value, bool):
        raise ValueError(f"net_params['compile'] is {value!r}; pass a bool.")
    low, high = BOUND_OPTIONS.get(name, (-np.inf, np.inf))
    if name in BOUND_OPTIONS and not (isinstance(value, Real) and low <= value <= high):
        raise ValueError(f"net_params[{name!r}] is {value!r}; pass a number in [{low}, {high}].")


def copy_net_params(net_params):
    """A copy whose callbacks share what cannot be copied, as the writer of a log."""
    if not isinstance(net_params, dict):
        return copy.deepcopy(net_params)
    return {
        name: copy_callbacks(value) if name == "callbacks" else copy.deepcopy(value)
        for name, value in net_params.items()
    }


def refusing_moved(init):
    """The constructor, which refuses what is no parameter any more."""

    @functools.wraps(init)
    def constructor(self, *args, **parameters):
        refuse_moved(type(self), parameters)
        init(self, *args, **parameters)

    return constructor


def refuse_moved(cls, names) -> None:
    """Say where the parameters went that estimators had in an earlier version."""
    for name in MOVED.keys() & set(names) - set(cls._get_param_names()):
        if name in BOUND_OPTIONS and not hasattr(cls, "elbo"):
            continue
        entry = MOVED[name].format(name)
        raise TypeError(
            f"{name!r} is no parameter of {cls.__name__} any more; pass "
            f"net_params={{{entry!r}: ...}}, or set net__{entry}."
        )

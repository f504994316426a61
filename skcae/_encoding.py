"""Estimators as JSON and tensors, and back, without a way to run what they do not name.

What JSON has not is an object with one key, its kind: ``{"$tuple": [1, 2]}``. Classes and
functions are names, of `TABLE` or of what the decoder was handed; nothing is imported.
"""

import copyreg
import inspect
import math
from dataclasses import fields, is_dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn

from . import augmentations, corruptions, densities, losses, modules, priors, scores
from ._autoencoder import ConvAutoencoder, DenoisingConvAutoencoder
from ._base import BaseAutoencoder
from ._calibration import Calibration
from ._conditional import ConditionalConvVAE
from ._data._layout import Layout
from ._data._ranges import Range
from ._data._scaling import Scaling
from ._net._build import OWN_NETWORKS
from ._net._net import Net
from ._net._reference import Reference
from ._net._state import BFLOAT16, to_array, to_tensor
from ._net._variational import VariationalNet
from ._private import OBSERVERS, REQUESTS
from ._vae import ConvVAE


def _classes(namespace, prefix, base):
    """The public classes of a module that derive from a base."""
    named = {k: v for k, v in vars(namespace).items() if inspect.isclass(v) and k[0] != "_"}
    return {prefix + name: cls for name, cls in named.items() if issubclass(cls, base)}


def _pieces(namespace):
    """The public classes and functions that are the package's."""
    named = {k: v for k, v in vars(namespace).items() if callable(v) and k[0] != "_"}
    return {k: v for k, v in named.items() if v.__module__.startswith(namespace.__name__)}


# What a file may name: our own, and pieces of PyTorch that do nothing but compute. Names stay what
# they are, whatever becomes of the classes: files have them.
PARTS = Net, VariationalNet, Reference, Calibration, Layout, Scaling, Range
LEAVES = ConvAutoencoder, DenoisingConvAutoencoder, ConvVAE, ConditionalConvVAE
FUNCTIONS = "mse_loss", "l1_loss", "binary_cross_entropy_with_logits"
TABLE = {cls.__name__: cls for cls in (*LEAVES, *PARTS)}
for _module in (augmentations, corruptions, densities, losses, modules, priors, scores):
    TABLE |= _pieces(_module)
TABLE |= _classes(nn, "nn.", nn.Module) | _classes(torch.optim, "optim.", torch.optim.Optimizer)
TABLE |= {f"nn.functional.{name}": getattr(nn.functional, name) for name in FUNCTIONS}
TABLE |= {f"torch.{name}": getattr(torch, name) for name in ("sigmoid", "tanh", "exp")}
NAMES = {value: name for name, value in TABLE.items()}

# Types of arrays that safetensors has in all its versions; others are written as their bytes.
NATIVE = {np.dtype(code) for code in "?bBhilqefd"} | {BFLOAT16}
BYTES = "USMmcbiuf"
BARE = vars(nn.Module())


class Encoder:
    """Values as JSON, and the arrays in them as ``tensors`` under names that tell their place.

    ``trusted`` are the classes and functions, by their names, that are not in `TABLE`.
    """

    def __init__(self):
        self.tensors, self.trusted, self.objects = {}, {}, {}

    def write(self, value, path=""):
        if value is None or type(value) in (bool, int, str):
            return value
        if type(value) is float and math.isfinite(value):
            return value
        if isinstance(value, list):
            return [self.write(item, f"{path}.{i}") for i, item in enumerate(value)]
        if type(value) is dict and all(type(key) is str and key[:1] != "$" for key in value):
            return {k: self.write(v, f"{path}.{k}".lstrip(".")) for k, v in value.items()}
        kind, content = self._write_kind(value, path)
        return {f"${kind}": content}

    def _write_kind(self, value, path):
        match value:
            case np.generic():
                return "scalar", self._name_array(np.asarray(value), path)
            case np.ndarray() if value.flags.f_contiguous and not value.flags.c_contiguous:
                return "transposed", self._name_array(value.T, path)
            case np.ndarray():
                return "array", self._name_array(value, path)
            case nn.Parameter():
                return "parameter", self._name_array(to_array(value), path)
            case Tensor():
                return "tensor", self._name_array(to_array(value), path)
            case float():
                return "float", repr(value)
            case tuple() if not hasattr(value, "_fields"):
                return "tuple", self.write(list(value), path)
            case set():
                return "set", self.write(sorted(value, key=repr), path)
            case dict():
                return "dict", self.write([list(pair) for pair in value.items()], path)
            case torch.device() | torch.dtype():
                return type(value).__name__, str(value).removeprefix("torch.")
            case np.random.RandomState():
                return "random_state", self.write(value.get_state(legacy=False), path)
            case partial():
                return "partial", self.write([value.func, value.args, value.keywords], path)
        named = inspect.isclass(value) or inspect.isroutine(value)
        return self._write_name(value, path) if named else self._write_object(value, path)

    def _name_array(self, array, path):
        """The name of its tensor; type and shape where they are not those of the tensor."""
        if array.dtype.kind in "OT":
            return [array.dtype.kind, self.write(array.tolist(), path)]
        if array.dtype not in NATIVE and array.dtype.kind not in BYTES:
            raise _cannot_hold(array, path)
        name = path
        while name in self.tensors:
            name += "'"
        if array.dtype in NATIVE:
            self.tensors[name] = to_tensor(np.array(array, order="C"))
            return name
        self.tensors[name] = to_tensor(np.frombuffer(array.tobytes(), np.uint8))
        return [array.dtype.str, list(array.shape), name]

    def _write_name(self, value, path):
        if value in NAMES:
            return "name", NAMES[value]
        if self.trusted.setdefault(value.__name__, value) is not value:
            raise ValueError(
                f"{path} is one of two with the name {value.__name__!r}, by which load finds "
                f"them; give them different names."
            )
        return "trusted", value.__name__

    def _write_object(self, value, path):
        """Its class and attributes; each object only once."""
        if id(value) in self.objects:
            return "again", self.objects[id(value)][0]
        try:
            state = _state_of(value)
        except TypeError as error:  # of locks and open files
            raise _cannot_hold(value, path) from error
        content = [self.write(type(value), path), self.write(state, path)]
        self.objects[id(value)] = len(self.objects), value  # which keeps its id
        return "object", content


def _cannot_hold(value, path):
    return ValueError(
        f"{path} is of the type {type(value).__name__}, which a file cannot hold: {value!r:.80}. "
        f"Take it out before and set it again after, or pickle the estimator with joblib."
    )


def _state_of(value):
    """What tells an object from others of its class."""
    if is_dataclass(value):
        return {field.name: getattr(value, field.name) for field in fields(value)}
    if isinstance(value, tuple):
        return value._asdict()
    if isinstance(value, nn.Module):
        return {k: v for k, v in vars(value).items() if k not in BARE or v != BARE[k]}
    make, arguments, state, *others = (*value.__reduce_ex__(2), None)[:5]
    if make is not copyreg.__newobj__ or arguments != (type(value),) or any(others):
        raise TypeError("not made of its attributes alone")
    state = dict(state or {})
    if isinstance(value, Net):  # a training has the callbacks of the estimator
        state["arguments"]["callbacks"] = None
    if isinstance(value, BaseAutoencoder):
        state.pop(OBSERVERS, None)
        if REQUESTS in state:
            requests = vars(state[REQUESTS]).items()
            state[REQUESTS] = {k: v.requests for k, v in requests if hasattr(v, "requests")}
    return state


class Decoder:
    """Values from what an `Encoder` has written, or has not: what does not fit raises an error."""

    def __init__(self, tensors, trusted):
        self.tensors, self.trusted, self.objects = tensors, trusted, []

    def read(self, node):
        if isinstance(node, list):
            return [self.read(item) for item in node]
        if not isinstance(node, dict):
            return node
        kind = next(iter(node), "")
        if kind.startswith("$"):
            return KINDS[kind](self, node[kind])
        return {key: self.read(item) for key, item in node.items()}

    def array(self, content):
        if isinstance(content, str):
            return to_array(self.tensors[content])
        if len(content) == 2:
            return np.array(self.read(content[1]), {"O": object, "T": "T"}[content[0]])
        dtype, shape, name = content
        if np.dtype(dtype).kind not in BYTES:
            raise TypeError(f"an array of type {dtype}")
        return to_array(self.tensors[name]).view(dtype).reshape(shape)

    def object(self, content):
        cls, state = self.read(content)
        if is_dataclass(cls) or issubclass(cls, tuple):
            built = cls(**state)
        else:
            built = self._build(cls, state)
        self.objects.append(built)
        return built

    def _build(self, cls, state):
        for name in state:
            if hasattr(inspect.getattr_static(cls, name, None), "__get__"):
                raise TypeError(f"{name} is a method of {cls.__name__}, not to be replaced")
        built = cls.__new__(cls)
        if issubclass(cls, nn.Module):
            nn.Module.__init__(built)
        if issubclass(cls, Net):
            self._check_size(state["arguments"])
        if issubclass(cls, BaseAutoencoder):
            state = _complete(cls, state)
        if hasattr(built, "__setstate__"):
            built.__setstate__(state)
        else:
            vars(built).update(state)
        return built

    def _check_size(self, arguments):
        """Whether the file has the weights of the network that it asks for, before it is built."""
        module = arguments["module"]
        if module not in OWN_NETWORKS:
            if module in NAMES:
                raise TypeError(f"{NAMES[module]} is no network")
            return
        own = [name for name in arguments if name.startswith("module__")]
        options = {name.removeprefix("module__"): arguments[name] for name in own}
        with torch.device("meta"):
            weights = module(**options).state_dict().values()
        if sum(w.numel() for w in weights) > sum(t.numel() for t in self.tensors.values()):
            raise ValueError("the network is larger than its weights")


def _complete(cls, state):
    """With the parameters that were not yet there when the file was written."""
    built = cls()
    if REQUESTS in state:
        requests = built.get_metadata_routing()
        for method, request in state[REQUESTS].items():
            getattr(requests, method).requests.update(request)
        state = state | {REQUESTS: requests}
    return vars(built) | state


def _random_state(state):
    if not 0 <= state["state"]["pos"] <= 624:  # which NumPy does not check
        raise ValueError("a random state out of its range")
    random_state = np.random.RandomState()
    random_state.set_state(state)
    return random_state


def _dtype(name):
    dtype = getattr(torch, name)
    if not isinstance(dtype, torch.dtype):
        raise TypeError(f"{name} is no type of tensors")
    return dtype


KINDS = {
    "$scalar": lambda reader, content: reader.array(content)[()],
    "$transposed": lambda reader, content: reader.array(content).T,
    "$array": Decoder.array,
    "$parameter": lambda reader, content: nn.Parameter(to_tensor(reader.array(content))),
    "$tensor": lambda reader, content: to_tensor(reader.array(content)),
    "$float": lambda reader, content: float(content),
    "$tuple": lambda reader, content: tuple(reader.read(content)),
    "$set": lambda reader, content: set(reader.read(content)),
    "$dict": lambda reader, content: dict(reader.read(content)),
    "$device": lambda reader, content: torch.device(content),
    "$dtype": lambda reader, content: _dtype(content),
    "$random_state": lambda reader, content: _random_state(reader.read(content)),
    "$partial": lambda reader, content: _partial(*reader.read(content)),
    "$name": lambda reader, content: TABLE[content],
    "$trusted": lambda reader, content: reader.trusted[content],
    "$again": lambda reader, content: reader.objects[content],
    "$object": Decoder.object,
}


def _partial(function, arguments, keywords):
    return partial(function, *arguments, **keywords)

"""The net: a module, its units and what is normal; what trains it and what applies it."""

import copy
import inspect
from contextlib import ExitStack, contextmanager, nullcontext
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn

from .._data._layout import Layout
from .._data._scaling import Scaling
from .._data._validation import ROUNDING
from .._threads import one_thread
from ..losses import PerSampleLoss
from ._anomalies import AnomalyScoring
from ._batches import to_tensor
from ._build import (
    OWN_NETWORKS,
    architecture_changes,
    build_custom,
    build_optimizer,
    build_own,
    check_kernel,
    draw_seed,
    seeded_globally,
    trains_in_bfloat16,
    use_channels_last,
)
from ._distributed import rank_and_size
from ._reference import Reference
from ._schedules import OPTIMIZERS
from ._skorch import SkorchNet
from ._state import restore, state_of
from ._tiles import Tiling
from ._trimming import trimmed_mean

# Values in a batch up to which one thread trains.
N_ONE_THREAD = 2**15
# Of skorch's loop: in no pickle, so that a reader need not trust them.
UNUSED = "iterator_train", "iterator_valid", "dataset"


class Net(AnomalyScoring, Tiling, SkorchNet):
    """A module with ``encode`` and ``decode``, applied to rows in the units of the input.

    It pickles as what it was built from and NumPy arrays: weights, optimizer, generators,
    history, units and reference.

    Parameters
    ----------
    module : callable
        Builds the module.
    loss : Loss
        Of a reconstruction.
    layout : Layout
        How a row is an image.
    scaling : Scaling
        The units of the input.
    seed : int
        Of all that is random.
    score : Score or None
        The anomaly score; None is the loss.
    corruption, augmentation : Module or None
        Noise that is added in training, and changes of inputs and targets alike.
    precision : {"auto", "float32", "bfloat16"}
        Of training.
    denoises : bool
        Whether its inputs may be noisy versions of what it gives back.
    estimator : str
        The name of the estimator that trains it.
    **options
        Those of :class:`skorch.net.NeuralNet`.
    """

    def __init__(
        self,
        module,
        *,
        loss,
        layout: Layout,
        scaling: Scaling,
        seed: int,
        score=None,
        corruption=None,
        augmentation=None,
        precision="auto",
        denoises=False,
        estimator="its estimator",
        **options,
    ):
        self.loss, self.layout, self.scaling, self.seed = loss, layout, scaling, seed
        self.score, self.precision = score, precision
        self.corruption, self.augmentation = corruption, augmentation
        self.denoises, self.estimator = denoises, estimator
        defaults = {
            "criterion": PerSampleLoss,
            "criterion__loss": loss,
            "train_split": None,
            "verbose": 0,
        }
        super().__init__(module, **defaults | options)

    # Building -------------------------------------------------------------------------------

    def initialize(self):
        rank = rank_and_size()[0]
        self.generator_ = torch.Generator().manual_seed(self.seed)
        self.noise_generator_ = torch.Generator(self.device).manual_seed(self.seed + 1 + rank)
        super().initialize()
        self.corrupt_, self.augment_ = (
            None if module is None else _Changer(module, name, self.device)
            for name, module in (
                ("corruption", self.corruption),
                ("augmentation", self.augmentation),
            )
        )
        self.reference_ = Reference(self.score)
        self.module_.train(False)
        return self

    def initialize_module(self):
        arguments, own = self.get_params_for("module"), self.module in OWN_NETWORKS
        if own:
            check_kernel(arguments, self.layout, self.device)
        if self.owns_weights:
            module = build_own(self.module, arguments, self.generator_)
            # Other optimizers may flatten weights in ways that only contiguous ones allow.
            if len(self.layout.spatial) == 2 and self.optimizer in OPTIMIZERS.values():
                module = use_channels_last(module)
            self.module_, self.code_size_ = module, module.encoder.sizes[-1]
        else:
            self.module_, self.code_size_ = build_custom(
                self.module, arguments, self.layout, draw_seed(self.generator_), self.device
            )
        self.mixed_ = self.precision == "bfloat16"
        if own:
            self.mixed_ = trains_in_bfloat16(
                self.precision, self.module_, self.layout, self.device
            )
        return self

    def initialize_optimizer(self, *args, **kwargs):
        named_parameters = list(self.get_all_learnable_params())
        if not named_parameters:
            raise ValueError(
                f"the module {type(self.module_).__name__} has no parameters to train."
            )
        args, kwargs = self.get_params_for_optimizer("optimizer", named_parameters)
        if "fused" in inspect.signature(self.optimizer).parameters:
            kwargs.setdefault("fused", not kwargs.get("foreach", False))
        self.optimizer_ = build_optimizer(self.optimizer, args, kwargs, self.device)
        return self

    @property
    def owns_weights(self):
        """Whether all weights come from ``generator_``: no code of the user's builds a layer."""
        options = self.get_params_for("module")
        return self.module in OWN_NETWORKS and not any(callable(v) for v in options.values())

    @property
    def linear_path(self) -> nn.Module | None:
        """What leads past the layers of one of our networks."""
        return self.network.linear_path if self.module in OWN_NETWORKS else None

    @property
    def network(self) -> nn.Module:
        """What has ``encode`` and ``decode``, without what is learned beside it."""
        return self.module_

    # State ----------------------------------------------------------------------------------

    def continue_from(self, other):
        """Take over what another net has learned, with this one's hyperparameters and units."""
        changes = [*self.layout.changes_since(other.layout), *architecture_changes(self, other)]
        if self.module is not other.module and OWN_NETWORKS[0] in (self.module, other.module):
            changes += [f"module was {other.module.__name__} and is {self.module.__name__}"]
        if changes:
            raise ValueError(
                f"the network changed since the earlier fit, so its weights cannot be used: "
                f"{'; '.join(changes)}. Set that back, or fit anew with warm_start=False."
            )
        state = state_of(other) | {"reference": other.reference_.with_score(self.score)}
        state["scaling"] = self.scaling
        self.seed = other.seed  # of the draws of the codes
        if type(self.optimizer_) is not type(other.optimizer_):
            state["optimizer"] = None
        try:
            return restore(self, state)
        except RuntimeError as error:
            raise ValueError(
                f"the network changed since the earlier fit, so its weights cannot be used: "
                f"{error}. Set the architecture back, or fit anew with warm_start=False."
            ) from error

    def __getstate__(self):
        arguments = self.get_params(deep=False)
        for name in UNUSED:
            del arguments[name]
        return {"arguments": arguments, "state": state_of(self)}

    def __setstate__(self, pickled):
        arguments = pickled["arguments"]
        device, n_cuda = torch.device(arguments["device"]), torch.cuda.device_count()
        if device.type == "cuda" and (device.index or 0) >= n_cuda:
            arguments = {**arguments, "device": "cuda" if n_cuda else "cpu"}
        self.__init__(**arguments)
        trimmed = pickled["state"]["optimizer"] is None
        restore(self.initialize(), pickled["state"])
        if trimmed:
            self.trim_for_prediction()

    # Training -------------------------------------------------------------------------------

    def permutation(self, n: int) -> np.ndarray:
        """The numbers below ``n`` in an order drawn from the net's generator."""
        return torch.randperm(n, generator=self.generator_).numpy()

    @contextmanager
    def isolate(self, n_rows: int):
        """A context to apply the network to batches of so many rows.

        In it code of the user's draws repeatably, and moves no global generator; small batches
        have one thread, since more would only wait for each other.
        """
        on_cpu, n_values = torch.device(self.device).type == "cpu", n_rows * self.layout.n_features
        owns_noise = all(c is None or c.takes_generator for c in (self.corrupt_, self.augment_))
        with ExitStack() as contexts:
            if on_cpu and self.owns_weights and n_values <= N_ONE_THREAD:
                contexts.enter_context(one_thread())
            if not (self.owns_weights and owns_noise):
                seed = draw_seed(self.generator_)
                contexts.enter_context(seeded_globally(seed, self.device))
            yield

    def augment(self, x: Tensor, target: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """A training batch, changed at random, and a target that is a sample alike."""
        if self.augment_ is None:
            return x, target
        x = x if x.is_floating_point() else x.float()
        if target is None or target.shape != x.shape:  # labels stay what they are
            return self.augment_(x, self.noise_generator_), target
        pairs = torch.cat([x, target.to(x.dtype)], 1)
        x, target = self.augment_(pairs, self.noise_generator_).tensor_split(2, 1)
        return x, target

    def prepare(self, x: Tensor, y: Tensor | None) -> tuple[Tensor, Tensor]:
        """What the network sees of a batch and what it must give back, standardized."""
        target = self._standardize(x if y is None else y)
        if y is None and self.corrupt_ is None:
            return target, target
        if y is None:
            x = x.double() if self.scaling.is_far else x.float()
            x = self.corrupt_(x, self.noise_generator_)
        return self.scaling.forward(x).float(), target

    def objective(self, inputs: Tensor, target: Tensor, share: float, trim: float) -> Tensor:
        """The loss of a batch to minimize, after a ``share`` of the training is done.

        The mean over the samples, without the share ``trim`` of them that has the largest.
        """
        with self.autocast():
            output = self.output(inputs)
            if not trim:
                return self.criterion_.mean(output, target)
            return trimmed_mean(self.criterion_(output, target), trim)

    def autocast(self):
        """Mixed precision for one forward pass: its casts of the weights hold for one step."""
        if not self.mixed_:
            return nullcontext()
        return torch.autocast(torch.device(self.device).type, torch.bfloat16)

    # Applying -------------------------------------------------------------------------------

    def _load(self, rows: np.ndarray) -> Tensor:
        """A tile as the network sees it."""
        return self._standardize(self.layout.fold(self._pad(rows)))

    def standardize(self, rows: np.ndarray) -> Tensor:
        """Rows as the network sees them."""
        return self._standardize(self.layout.fold(to_tensor(rows, self.device)))

    def _standardize(self, x: Tensor) -> Tensor:
        x = self.scaling.forward(x).float()
        if not self.loss.unit_interval:
            return x
        if self.denoises:  # noise stays outside [0, 1], where rounding does not
            return torch.where((x - 0.5).abs() <= 0.5 + ROUNDING, x.clamp(0, 1), x)
        return x.clamp_(0, 1)

    def _unfold(self, output: Tensor) -> Tensor:
        """The output of the network as rows in the units of the input."""
        return self.layout.unfold(self.scaling.inverse(self.loss.link(output.float())))

    def output(self, inputs: Tensor) -> Tensor:
        """What the network makes of its inputs, before the link."""
        return self.module_.decode(self.module_.encode(inputs))

    def encode(self, X, out=None):
        """Codes ``(n, code size)`` of the rows ``X``, float32."""
        return self.map_tiles(lambda rows: self.module_.encode(self._load(rows)), X, out=out)

    def decode(self, Z, out=None):
        """Rows ``(n, n_features)`` for the codes ``Z``, in the units of the input."""

        def decode(rows):
            return self._unfold(self.module_.decode(self._pad(rows).float()))

        return self.map_tiles(decode, Z, out=out)

    def reconstruct(self, X, out=None):
        """The rows ``X``, encoded and decoded."""
        return self.map_tiles(lambda rows: self._unfold(self.output(self._load(rows))), X, out=out)

    def losses(self, X, y=None):
        """The loss of each row in the units of the input, float64."""

        def losses(rows, *target):
            x = self._load(rows)
            return self.criterion_(self.output(x), self._load(*target) if target else x).double()

        losses = self.loss_in_units(self.map_tiles(losses, X, *([] if y is None else [y])))
        return np.where(np.isnan(losses), np.inf, losses)  # overflow: as bad as can be

    def loss_in_units(self, losses):
        """Losses of standardized data in the units of the input."""
        return losses * self.scaling.unit**self.loss.power

    # Reading --------------------------------------------------------------------------------

    def layers(self):
        """Name, kind, output shape and counts of each layer; shared weights count once."""
        module, shapes, seen = copy.deepcopy(self.module_), {}, set()
        parts = {
            name: layer
            for name, layer in module.named_modules()
            if not list(layer.children()) or list(layer.parameters(recurse=False))
        }
        for name, layer in parts.items():
            layer.register_forward_hook(partial(_note_shape, shapes, name))
        shape = (2, self.layout.n_channels, *self.layout.spatial)
        with torch.inference_mode():
            module.decode(module.encode(torch.zeros(shape, device=self.device)))
        return [
            {
                "name": name or "module",
                "layer": type(layer).__name__,
                "output_shape": shapes.get(name, ""),
                "parameters": _count_new(layer.parameters(recurse=False), seen),
                "statistics": _count_new(
                    (b for b in layer.buffers(recurse=False) if b.ndim > 0), seen
                ),
            }
            for name, layer in parts.items()
        ]


class _Changer:
    """A module that changes batches, always active, given the generator if it takes one."""

    def __init__(self, module, name, device):
        self.module, self.name = copy.deepcopy(module).to(device).train(), name
        self.takes_generator = "generator" in inspect.signature(module.forward).parameters

    def __call__(self, x: Tensor, generator: torch.Generator) -> Tensor:
        changed = self.module(x, **({"generator": generator} if self.takes_generator else {}))
        if not isinstance(changed, Tensor):
            raise TypeError(
                f"{self.name} returned a {type(changed).__name__} for a batch; it must return a "
                f"tensor of the shape of the batch."
            )
        if changed.shape != x.shape:
            raise ValueError(
                f"{self.name} returned shape {tuple(changed.shape)} for a batch of shape "
                f"{tuple(x.shape)}; it must keep the shape."
            )
        return changed


def _note_shape(shapes, name, layer, inputs, output):
    if isinstance(output, Tensor):
        shapes[name] = tuple(output.shape[1:])


def _count_new(tensors, seen):
    """Values in the tensors that are not yet ``seen``."""
    new = [t for t in tensors if id(t) not in seen]
    seen.update(map(id, new))
    return sum(t.numel() for t in new)

"""The skorch net: the only training loop, seeding, inference, device and precision."""

import copy
import inspect
import math
import threading
import time
from contextlib import contextmanager, nullcontext
from functools import partial
from itertools import repeat

import numpy as np
import torch
from skorch import NeuralNet
from skorch.callbacks import EarlyStopping
from skorch.history import History
from torch import Tensor

from ._compiled import compiled
from ._distributed import rank_and_size, share_buffers, total
from ._stored import applied, part, slices
from ._tensors import moved, over_tiles, padded, tile_size, to_tensor
from ._training import OPTIMIZERS, Run, StopTraining
from ._usual import Usual
from .losses import PerSampleLoss
from .modules import Autoencoder, VariationalAutoencoder, _custom, initialize_
from .scores import SCORES, Evidence

# The networks whose weights ``initialize_`` draws.
OWN_NETWORKS = (Autoencoder, VariationalAutoencoder)
# Share of the steps after which the worst of each batch are ignored; range of standardized data.
TRIM_WARMUP, STANDARD_RANGE = 0.2, 4.0


class Net(NeuralNet):
    """A skorch net that trains and applies a module with ``encode`` and ``decode``.

    Everything that the estimators do with torch happens here. It pickles as what it was built
    from and numpy arrays: weights, optimizer, generators, history.
    """

    def __init__(
        self,
        module,
        *,
        loss,
        layout,
        seed,
        corruption=None,
        precision="auto",
        score=SCORES["loss"],
        trim=0.0,
        **options,
    ):
        self.build_arguments = {
            "module": module,
            "loss": loss,
            "layout": layout,
            "seed": seed,
            "corruption": corruption,
            "precision": precision,
            "score": score,
            "trim": trim,
            **options,
        }
        self.loss, self.layout, self.seed = loss, layout, seed
        self.corruption, self.precision, self.trim = corruption, precision, trim
        self.scaling, self.usual = None, Usual(score)
        super().__init__(
            module,
            criterion=PerSampleLoss,
            criterion__loss=loss,
            train_split=None,
            verbose=0,
            **copy.deepcopy(options),
        )

    @property
    def _default_callbacks(self):
        return []

    # Building -------------------------------------------------------------------------------

    def initialize(self):
        rank = rank_and_size()[0]
        self.generator_ = torch.Generator().manual_seed(self.seed)
        self.noise_generator_ = torch.Generator(self.device).manual_seed(self.seed + 1 + rank)
        super().initialize()
        corruption = copy.deepcopy(self.corruption)
        self.corrupt_ = _Corruption(corruption, self.device) if corruption is not None else None
        self._set_training(False)
        return self

    def initialize_module(self):
        kwargs = self.get_params_for("module")
        if self.module in OWN_NETWORKS:
            _check_kernel(kwargs, self.layout, self.device)
        if self._owns_randomness():
            with torch.device("meta"):
                module = self.module(**kwargs)
            module = initialize_(module.to_empty(device="cpu").float(), self.generator_)
            # Faster: 1.3 times in training, 1.45 in inference on a CPU. Other optimizers may
            # flatten weights in ways that only contiguous ones allow, as LBFGS does.
            if len(self.layout.spatial) == 2 and self.optimizer in OPTIMIZERS.values():
                module = module.to(memory_format=torch.channels_last)
            self.module_, self.code_size_ = module, module.encoder.sizes[-1]
        else:
            with seeded_globally(self._draw_seed(), self.device):
                module = _custom.build(self.module, kwargs)
            shape = self.layout.n_channels, *self.layout.spatial
            n_classes = kwargs.get("n_classes")
            self.code_size_ = _custom.code_size(module, shape, n_classes)
            self.module_ = module
        self.mixed = self.precision == "bfloat16"
        if self.module in OWN_NETWORKS:
            self.mixed = _mixes(self.precision, module, self.layout, self.device)
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
        self.optimizer_ = self.optimizer(*args, **kwargs)
        return self

    @property
    def tile_size(self):
        """Samples that inference sees at once."""
        options = self.get_params_for("module")
        dense = self.module in OWN_NETWORKS and not len(options.get("hidden_channels", "?"))
        kind = "dense" if dense else "convolutional"
        kind = "cuda" if torch.device(self.device).type == "cuda" else kind
        return tile_size(kind, self.layout.n_features)

    def _owns_randomness(self):
        """Whether all weights come from ``generator_``: no code of the user's builds a layer."""
        options = self.get_params_for("module")
        return self.module in OWN_NETWORKS and not any(callable(v) for v in options.values())

    def torch_compile(self, module, name):
        """Nothing here: skorch would rename the weights; ``train`` compiles."""
        return module

    def _draw_seed(self):
        return int(torch.randint(2**31, (1,), generator=self.generator_))

    def continue_from(self, other):
        """Take over what another net has learned, with this one's hyperparameters."""
        state = other._state() | {"usual": other.usual.for_score(self.usual.score)}
        if type(self.optimizer_) is not type(other.optimizer_):
            state["optimizer"] = None
        try:
            return self._load_state(state)
        except RuntimeError as error:
            raise ValueError(
                f"the network changed since the earlier fit, so its weights cannot be used: "
                f"{error}. Set the architecture back, or fit anew with warm_start=False."
            ) from error

    # Pickling -------------------------------------------------------------------------------

    def _state(self):
        return {
            "weights": _to_arrays(dict(self.module_.state_dict())),
            "optimizer": _to_arrays(self.optimizer_.state_dict()),
            "generator": self.generator_.get_state().numpy(),
            "noise_generator": self.noise_generator_.get_state().numpy(),
            "history": list(self.history),
            "scaling": self.scaling,
            "usual": self.usual,
        }

    def _load_state(self, state):
        self.module_.load_state_dict(_to_tensors(state["weights"]))
        if state["optimizer"] is not None:
            optimizer = _to_tensors(state["optimizer"])
            groups = zip(optimizer["param_groups"], self.optimizer_.param_groups, strict=True)
            for old, new in groups:
                old.update({k: v for k, v in new.items() if k != "params"})
            self.optimizer_.load_state_dict(optimizer)
        self.generator_.set_state(_to_tensors(state["generator"]))
        noise = _to_tensors(state["noise_generator"])
        if noise.shape == self.noise_generator_.get_state().shape:  # the same kind of device
            self.noise_generator_.set_state(noise)
        self.history_ = History(state["history"])
        self.scaling, self.usual = state["scaling"], state["usual"]
        return self

    def __reduce__(self):
        return _rebuild, (type(self), self.build_arguments, self._state())

    # Training -------------------------------------------------------------------------------

    def train(
        self,
        X,
        y=None,
        *,
        epochs,
        lr_schedule=None,
        validation_fraction=None,
        patience=None,
        streaming=False,
        observers=(),
    ):
        """Train for some epochs on the rows ``X``, to reconstruct ``y`` or ``X`` itself.

        ``observers`` hear of the begin and the end of each epoch; one that raises
        ``StopTraining`` ends the training. A fraction held out for validation brings early
        stopping: the weights of the best epoch are kept. ``streaming`` says that this is one
        chunk of many, so that nothing can depend on the share of the training that is done.
        """
        valid, train = self._held_out(X, validation_fraction)
        n_steps = epochs * len(self._batches(train))
        run = Run(self, n_steps, lr_schedule, patience, streaming)
        isolated = nullcontext() if self._owns_noise() else self._isolated()
        options = self.get_params_for("compile")
        fast = compiled(self._network(), **options) if self.compile else nullcontext()
        self.notify("on_train_begin", X=X, y=y)
        with isolated, fast:
            try:
                for _ in range(epochs):
                    for observer in observers:
                        observer.begin_epoch(self)
                    self._epoch(run, X, y, train, valid)
                    for observer in observers:
                        observer.end_epoch(self)
                    run.check_progress()
            except StopTraining:
                pass
            finally:
                self._set_training(False)
        run.keep_best()
        self.notify("on_train_end", X=X, y=y)
        for observer in observers:
            observer.end_training(self)
        return self

    def _network(self):
        """What has ``encode`` and ``decode``."""
        return self.module_

    def _held_out(self, X, fraction):
        """Indices of the rows to validate on, and of the others, both in rising order."""
        index = X.shuffled(np.arange(len(X)), self._permutation)
        n_valid = _n_validation(len(X), fraction)
        return np.sort(index[:n_valid]), np.sort(index[n_valid:])

    def _epoch(self, run, X, y, train, valid):
        started = time.perf_counter()
        self.notify("on_epoch_begin", dataset_train=X, dataset_valid=None)
        n_rows = min(len(train), self.batch_size) // rank_and_size()[1]
        self._set_training(n_rows > 1)  # one row has no statistics
        loss = self._train_batches(run, X, y, train)
        self._set_training(False)
        share_buffers(self.module_)
        loss = run.check_finite(loss)
        run.record("train_loss", self.in_units(loss))
        if len(valid):
            run.record("valid_loss", self._mean_loss(X, y, valid))
            run.remember_best()
        self.history.record("dur", time.perf_counter() - started)
        self.notify("on_epoch_end", dataset_train=X, dataset_valid=None)

    def _train_batches(self, run, X, y, index):
        """One pass over the shuffled rows; the mean loss, on the device.

        Of several processes each takes its share of every batch.
        """
        rank, n_ranks = rank_and_size()
        batches = self._batches(X.shuffled(index, self._permutation, n_ranks))
        own = [batch[rank::n_ranks] for batch in batches]
        targets = repeat(None) if y is None else y.batches(own)
        # One tensor: many small ones, kept, would keep the memory of the batches between them.
        losses = torch.empty(len(own), dtype=torch.float64, device=self.device)
        for i, (x, target) in enumerate(zip(X.batches(own), targets, strict=False)):
            run.advance()
            weight = n_ranks * len(x) / len(batches[i])
            losses[i] = self._step(run.objective, weight, *self._pair(x, target))
        sizes = torch.tensor([len(part) for part in own], dtype=torch.float64)
        return total(losses @ moved(sizes, self.device)) / len(index)

    def _permutation(self, n):
        return torch.randperm(n, generator=self.generator_).numpy()

    def _mean_loss(self, X, y, index):
        """The mean loss of some rows."""
        if y is None:
            return float(applied(self.losses, part(X.X, index)).mean())
        parts = [index[s] for s in slices(len(index), max(1, 2**24 // self.layout.n_features))]
        return float(np.concatenate([self.losses(X.X[i], y.X[i]) for i in parts]).mean())

    def _batches(self, index):
        """Consecutive parts of ``index``; a single row left over joins the part before it.

        Of several processes each needs two rows.
        """
        stops = [*range(self.batch_size, len(index), self.batch_size), len(index)]
        if len(stops) > 1 and stops[-1] - stops[-2] < 2 * rank_and_size()[1]:
            del stops[-2]
        return [index[a:b] for a, b in zip([0, *stops], stops, strict=False)]

    def _pair(self, x: Tensor, y: Tensor | None):
        """What the network sees and what it must give back, standardized."""
        target = self._standardize(x if y is None else y)
        if y is None and self.corrupt_ is None:
            return target, target
        if y is None:
            x = self.corrupt_(x.float(), self.noise_generator_)
        return self._standardize(x), target

    def _step(self, objective, weight: float, inputs: Tensor, target: Tensor) -> Tensor:
        """One step of the optimizer, which may call the closure more than once.

        ``weight`` is that of this process's rows among those of all.
        """

        def closure():
            self.optimizer_.zero_grad()
            with self._autocast():
                loss = objective(inputs, target)
            (loss if weight == 1 else weight * loss).backward()
            if self.callbacks_:
                self._tell("on_grad_computed", inputs, target, **self._named_parameters())
            return loss

        if not self.callbacks_:
            return self.optimizer_.step(closure).detach()
        self.history.new_batch()
        self._tell("on_batch_begin", inputs, target)
        loss = self.optimizer_.step(closure).detach()
        self.history.record_batch("train_loss", float(loss))
        self.history.record_batch("train_batch_size", len(inputs))
        self._tell("on_batch_end", inputs, target, loss=loss)
        return loss

    def _objective(self, inputs: Tensor, target: Tensor) -> Tensor:
        """The mean loss of a batch."""
        output = self._output(inputs)
        if not self._trims():
            return self.criterion_.mean(output, target)
        return self._trimmed_mean(self.criterion_(output, target))

    def _trims(self):
        return self.trim and self.warm and self.share >= TRIM_WARMUP

    def _trimmed_mean(self, losses: Tensor) -> Tensor:
        """The mean without the largest losses."""
        return losses.topk(self._n_kept(len(losses)), largest=False, sorted=False).values.mean()

    def _n_kept(self, n):
        return n - math.ceil(round(self.trim * n, 6))

    def _tell(self, event, inputs, target, **kwargs):
        """Call the user's callbacks within an epoch."""
        self.notify(event, batch=(inputs, target), training=True, **kwargs)

    def _named_parameters(self):
        return {"named_parameters": list(self.get_all_learnable_params())}

    def _autocast(self):
        """Mixed precision for one forward pass: its casts of the weights hold for one step."""
        if not self.mixed:
            return nullcontext()
        return torch.autocast(torch.device(self.device).type, torch.bfloat16)

    def on_batch_begin(self, net, **kwargs):
        pass  # skorch would open a row of history here; ``_step`` does

    def notify(self, method_name, **kwargs):
        getattr(self, method_name)(self, **kwargs)
        for _, callback in self.callbacks_:
            try:
                getattr(callback, method_name)(self, **kwargs)
            except KeyboardInterrupt:  # skorch's EarlyStopping stops by raising one
                if not isinstance(callback, EarlyStopping):
                    raise
                raise StopTraining from None

    def _owns_noise(self):
        return self._owns_randomness() and (self.corrupt_ is None or self.corrupt_.takes_generator)

    def _isolated(self):
        return seeded_globally(self._draw_seed(), self.device)

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

    # Inference ------------------------------------------------------------------------------

    def per_sample(self, inputs: Tensor, target: Tensor) -> Tensor:
        """The loss of each sample, in the network's units."""
        return self.criterion_(self._output(inputs), target)

    def _output(self, inputs: Tensor) -> Tensor:
        return self.module_.decode(self.module_.encode(inputs))

    def in_units(self, losses):
        """Losses of standardized data in the units of the input."""
        return losses * self.scaling.scale**self.loss.power

    def encode(self, X):
        """Codes ``(n, code size)`` of the rows ``X``, float32."""
        return self._by_tiles(lambda x: self.module_.encode(self._standardize(x)), X)

    def decode(self, Z):
        """Rows ``(n, n_features)`` for the codes ``Z``, in the units of the input."""

        def decode(z):
            return self._unfold(self.module_.decode(z.float()))

        return self._by_tiles(decode, Z, fold=False)

    def reconstruct(self, X):
        def reconstruct(x):
            return self._unfold(self._output(self._standardize(x)))

        return self._by_tiles(reconstruct, X)

    def losses(self, X, y=None):
        """The loss of each row in the units of the input, float64."""
        if y is None:
            losses = self._by_tiles(lambda x: self.per_sample(*[self._standardize(x)] * 2), X)
        else:
            losses = self._by_tiles(
                lambda x, y: self.per_sample(self._standardize(x), self._standardize(y)), X, y
            )
        losses = self.in_units(losses.astype(np.float64))
        return np.where(np.isnan(losses), np.inf, losses)  # overflow: as bad as can be

    # Anomalies ------------------------------------------------------------------------------

    def learn_usual(self, X, labels=None, streaming=False):
        """Learn what is usual from rows of training data, anew unless they are a chunk."""
        if not streaming:
            self.usual = Usual(self.usual.score)
        self.usual.learn(self, X, labels)

    def unusual(self, X, labels=None):
        """How unusual each row is, float64, higher for more."""
        return self.usual.unusual(self, X, labels)

    def error_map(self, X, standardize, labels=None):
        return self.usual.error_map(self, X, standardize, labels)

    def over_evidence(self, function, X, labels=None):
        """Apply a function of the :class:`Evidence` to tiles of rows."""
        return self._by_tiles(lambda x: function(self._evidence(self._standardize(x))), X)

    def _evidence(self, x: Tensor) -> Evidence:
        module, features = self.module_, None
        if self.module in OWN_NETWORKS:
            z, features = module.encode_in_steps(x)
        else:
            z = module.encode(x)
        output = module.decode(z).float()
        x_hat = self.loss.link(output)
        values = self.loss.function(output, x)
        if values.shape != x.shape:
            values = (x_hat - x) ** 2
        return Evidence(x, x_hat, values, z, self._data_range(), features)

    def _data_range(self):
        return 1.0 if self.loss.unit_interval else STANDARD_RANGE

    def error_in_units(self, errors):
        """Errors of values in the units of the input."""
        two = torch.zeros(2, self.layout.n_channels, *self.layout.spatial)
        has_values = self.loss.function(two, two).shape == two.shape
        return errors * self.scaling.scale ** (self.loss.power if has_values else 2)

    def _standardize(self, x: Tensor) -> Tensor:
        return self.scaling.forward(x).float()

    def _unfold(self, output: Tensor) -> Tensor:
        return self.layout.unfold(self.scaling.inverse(self.loss.link(output.float())))

    def _by_tiles(self, function, X, *others, fold=True):
        """Apply to tiles of rows and join the results; the rows never see each other."""

        def tile(start):
            return function(*(self._tile(a, start, fold) for a in (X, *others)))

        return self._over_tiles(tile, len(X))

    def _over_tiles(self, function, n):
        on_cpu = torch.device(self.device).type == "cpu"
        parallel = on_cpu and self.tile_size > 1 and self._owns_randomness()
        return over_tiles(function, n, self.tile_size, parallel)

    def _tile(self, values, start, fold):
        size = self.tile_size
        tile = to_tensor(padded(values[start : start + size], size), self.device)
        return self.layout.fold(tile) if fold else tile


class _Corruption:
    """A corruption that is always active, given the generator if it takes one."""

    def __init__(self, corruption, device):
        self.corruption = corruption.to(device).train()
        self.takes_generator = "generator" in inspect.signature(corruption.forward).parameters

    def __call__(self, x: Tensor, generator: torch.Generator) -> Tensor:
        noisy = self.corruption(x, generator) if self.takes_generator else self.corruption(x)
        if noisy.shape != x.shape:
            raise ValueError(
                f"corruption returned shape {tuple(noisy.shape)} for a batch of shape "
                f"{tuple(x.shape)}; it must keep the shape."
            )
        return noisy


def _note_shape(shapes, name, layer, inputs, output):
    if isinstance(output, Tensor):
        shapes[name] = tuple(output.shape[1:])


def _count_new(tensors, seen):
    """Values in the tensors that are not yet ``seen``."""
    new = [t for t in tensors if id(t) not in seen]
    seen.update(map(id, new))
    return sum(t.numel() for t in new)


def _check_kernel(options, layout, device):
    """Torch's CPU convolution of volumes gives wrong gradients, or crashes, from side 7 on."""
    kernels = np.ravel(options.get("kernel_size", 3))
    if len(layout.spatial) == 3 and kernels.size and kernels.max() > 5 and device == "cpu":
        raise ValueError(
            f"kernel_size={options['kernel_size']!r} is too large for volumes on a CPU, where "
            f"torch computes wrong gradients from 7 on; pass at most 5, and more stages in "
            f"hidden_channels to see more of a volume."
        )


def _mixes(precision, module, layout, device):
    """Whether to train in bfloat16.

    Torch's CPU convolution gives wrong gradients in it, or crashes, where a side has one value.
    """
    geometry, kind = module.encoder.geometry, torch.device(device).type
    convolves, smallest = len(geometry.kernels) > 0, min(map(min, geometry.kept))
    wrong = kind == "cpu" and convolves and smallest == 1
    if precision != "auto":
        return precision == "bfloat16" and not wrong
    if kind == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    native = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return native and convolves and not wrong and len(layout.spatial) == 2


def _n_validation(n_samples, fraction):
    if fraction is None:
        return 0
    n_valid = max(1, round(fraction * n_samples))
    if n_valid >= n_samples:
        raise ValueError(
            f"early_stopping=True with validation_fraction={fraction} holds out {n_valid} of "
            f"{n_samples} samples and leaves none to train on; pass more samples, a smaller "
            f"fraction or early_stopping=False."
        )
    return n_valid


_global_generator = threading.RLock()


@contextmanager
def seeded_globally(seed, device):
    """Run code that draws from torch's global generators, and leave those as they were."""
    devices = [torch.device(device)] if torch.device(device).type == "cuda" else []
    with _global_generator, torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        yield


def _map_leaves(tree, kind, function):
    """Apply to the leaves of one kind in nested dicts and lists."""
    if isinstance(tree, dict):
        return {k: _map_leaves(v, kind, function) for k, v in tree.items()}
    if isinstance(tree, list):
        return [_map_leaves(v, kind, function) for v in tree]
    return function(tree) if isinstance(tree, kind) else tree


def _to_arrays(tree):
    return _map_leaves(tree, Tensor, lambda t: t.cpu().numpy().copy())


def _to_tensors(tree):
    return _map_leaves(tree, np.ndarray, lambda a: torch.from_numpy(np.array(a)))


def _rebuild(net_class, build_arguments, state):
    if not torch.cuda.is_available() and str(build_arguments["device"]).startswith("cuda"):
        build_arguments = {**build_arguments, "device": "cpu"}
    return net_class(**build_arguments).initialize()._load_state(state)

"""What a skorch user may call on ``net_``: in the units of `X`, or refused with a sentence."""

import copy

import numpy as np
import torch
from sklearn.utils import check_array
from skorch import NeuralNet
from skorch.callbacks import BatchScoring, EarlyStopping, EpochScoring

from .._data._beside import check_noisy
from .._data._layout import advise_shape
from .._data._ranges import Range
from .._data._scaling import Scaling
from .._data._stored import Stored
from .._data._validation import check_range, check_unit_interval, to_rows
from ..losses import Likelihood
from ._reference import Reference


class StopTraining(Exception):  # noqa: N818 - a signal, not an error
    """Ends the training loop after the current epoch."""


class SkorchNet(NeuralNet):
    """The skorch net of a fitted estimator, which alone trains it.

    ``predict`` and ``forward`` reconstruct `X`, rows or images, in its units. ``save_params`` and
    ``load_params`` hold the units too. What would train it outside its estimator is refused.
    """

    @property
    def _default_callbacks(self):
        return []

    def initialize_callbacks(self):
        super().initialize_callbacks()
        for name, callback in self.callbacks_:
            if isinstance(callback, (EpochScoring, BatchScoring)):
                raise ValueError(
                    f"the skorch callback {name!r} compares predictions with labels, which an "
                    f"autoencoder does not have; use scikit-learn's ScoringMonitor, set by "
                    f"set_callbacks, or read history_."
                )
        return self

    def torch_compile(self, module, name):
        """Nothing here: skorch would rename the weights; the trainer compiles."""
        return module

    def notify(self, method_name, **kwargs):
        """Call the user's callbacks; skorch's EarlyStopping stops by raising KeyboardInterrupt."""
        getattr(self, method_name)(self, **kwargs)
        for _, callback in self.callbacks_:
            try:
                getattr(callback, method_name)(self, **kwargs)
            except KeyboardInterrupt:
                if not isinstance(callback, EarlyStopping):
                    raise
                raise StopTraining from None

    def on_batch_begin(self, net, **kwargs):
        pass  # skorch would open a row of history here; the trainer does

    def __sklearn_clone__(self):
        """A net with the same arguments; of callbacks, what cannot be copied is shared."""
        arguments = self.get_params(deep=False)
        callbacks = copy_callbacks(arguments.pop("callbacks"))
        return type(self)(**copy.deepcopy(arguments), callbacks=callbacks)

    # Prediction -----------------------------------------------------------------------------

    def predict(self, X):
        """Reconstructions of `X`, of its shape and in its units, as from the estimator."""
        self.check_is_fitted()
        rows, image_shape = to_rows(X)
        if not isinstance(rows, Stored):
            rows = check_array(rows, dtype="numeric", input_name="X")
        shape = self.layout.shape
        if rows.shape[1] != self.layout.n_features or image_shape not in (None, shape):
            advice = f"pass rows (n, {self.layout.n_features}) or images"
            if image_shape is not None:
                advice = advise_shape(image_shape, shape)
            raise ValueError(
                f"X has the shape {tuple(np.shape(X))}, but the net was trained on samples of "
                f"shape {shape}; {advice}."
            )
        self.check_range(rows, "likelihood" if isinstance(self.loss, Likelihood) else "loss")
        check_range(rows, self.scaling)
        return self.reconstruct(rows).reshape(-1, *(image_shape or rows.shape[1:]))

    def check_range(self, rows, parameter, compared=False):
        """Whether rows are where the loss needs them, or noisy ones about there.

        ``compared`` tells whether they are to be given back too; of pairs even those are noisy.
        """
        if not self.loss.unit_interval:
            return
        noisy = self.denoises and not (compared and self.corruption is not None)
        check = check_noisy if noisy else check_unit_interval
        check(rows, self.scaling, parameter, when_read=True)

    def predict_proba(self, X):
        """What `predict` returns."""
        return self.predict(X)

    def forward(self, X, training=False, device="cpu"):
        """What `predict` returns, as a tensor."""
        if training:
            self._refuse_training()
        return torch.from_numpy(self.predict(X)).to(device)

    def forward_iter(self, X, training=False, device="cpu"):
        """What `forward` returns, in batches."""
        yield from self.forward(X, training, device).split(self.batch_size)

    def infer(self, x, **fit_params):
        """What `forward` returns."""
        return self.forward(x)

    # Files ----------------------------------------------------------------------------------

    def _get_module(self, name, msg):  # what save_params and load_params ask
        module = super()._get_module(name, msg)
        return _ModuleInUnits(self, module) if name == "module_" else module

    def trim_for_prediction(self):
        """Drop what only training needs: the state of the optimizer, and the callbacks."""
        self.optimizer_, self.callbacks_ = None, []

    # Training -------------------------------------------------------------------------------

    def _refuse_training(self, *args, **kwargs):
        raise TypeError(
            f"this net is trained by {self.estimator}, which knows the units and the layout of "
            f"X; call fit of {self.estimator} (with warm_start=True it goes on) or partial_fit."
        )

    fit = partial_fit = fit_loop = run_single_epoch = _refuse_training
    train_step = train_step_single = validation_step = evaluation_step = _refuse_training
    get_loss = _refuse_training


def check_callbacks(entries):
    """Whether entries of `net_params` are a list of callbacks, and arguments of those in it."""
    callbacks = entries.get("callbacks")
    if not isinstance(callbacks, (list, tuple, type(None))) or not all(
        item is None or hasattr(item, "on_train_begin") for _, item in _named(callbacks)
    ):
        raise ValueError(
            f"net_params['callbacks'] is {callbacks!r}; pass a list of skorch callbacks, as "
            f"[skorch.callbacks.GradientNormClipping(1.0)]."
        )
    known = {name for name, _ in _named(callbacks)}
    for entry in entries:
        name = str(entry).removeprefix("callbacks__").partition("__")[0]
        # Those that have one name, skorch numbers.
        if str(entry).startswith("callbacks__") and not {name, name.rpartition("_")[0]} & known:
            raise ValueError(
                f"net_params has the entry {entry!r}, but the callbacks are named "
                f"{sorted(known)}; pass one of that name, as in callbacks=[({name!r}, ...)], or "
                f"leave the entry out."
            )


def _named(callbacks):
    """Pairs of a name and a callback, which is an object, a class or None."""
    for item in callbacks or ():
        if isinstance(item, tuple) and len(item) == 2:
            yield item
        else:
            yield getattr(item, "__name__", type(item).__name__), item


def copy_callbacks(callbacks):
    """Copies of skorch's callbacks that share what cannot be copied, as the writer of a log."""
    if not isinstance(callbacks, (list, tuple)):
        return callbacks
    return [_copy_callback(callback) for callback in callbacks]


def _copy_callback(callback):
    """A callback, or a pair of its name and it."""
    if isinstance(callback, tuple):
        return callback[0], _copy_callback(callback[1])
    if isinstance(callback, type) or callback is None:
        return callback
    copied = copy.copy(callback)
    for name, value in vars(callback).items():
        try:
            setattr(copied, name, copy.deepcopy(value))
        except TypeError:  # locks, threads and open files
            setattr(copied, name, value)
    return copied


class _ModuleInUnits:
    """The state of a net's module together with the units of its data."""

    FIELDS = ("shift", "scale", "variance", "count", "seen")

    def __init__(self, net, module):
        self.net, self.module = net, module

    def state_dict(self):
        scaling = {
            f"scaling.{name}": torch.tensor(getattr(self.net.scaling, name), dtype=torch.float64)
            for name in self.FIELDS
        }
        weights = {name: v.contiguous() for name, v in self.module.state_dict().items()}
        return weights | scaling

    def load_state_dict(self, state):
        names = {name: f"scaling.{name}" for name in self.FIELDS}
        if not names.keys() <= {key.removeprefix("scaling.") for key in state}:
            raise ValueError(
                "the file has no units of the data, which this net needs beside the weights; load "
                "what save_params of such a net has written."
            )
        fields = {name: state[key].tolist() for name, key in names.items()}
        weights = {key: v for key, v in state.items() if key not in names.values()}
        self.module.load_state_dict(weights)
        count, seen = int(fields.pop("count")), Range(*fields.pop("seen"))
        units = {name: tuple(values) for name, values in fields.items()}
        self.net.scaling = Scaling(**units, count=count, seen=seen)
        self.net.reference_ = Reference(self.net.score)  # what is normal is not in the file

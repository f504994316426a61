"""What a skorch user may call on ``net_``: in the units of `X`, or refused with a sentence."""

import numpy as np
import torch
from skorch import NeuralNet
from skorch.callbacks import BatchScoring, EarlyStopping, EpochScoring

from .._data._scaling import Scaling
from .._data._validation import to_rows


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

    # Prediction -----------------------------------------------------------------------------

    def predict(self, X):
        """Reconstructions of `X`, of its shape and in its units, as from the estimator."""
        rows, image_shape = to_rows(X)
        rows = rows if hasattr(rows, "dtype") else np.asarray(rows)
        if rows.ndim != 2 or rows.shape[1] != self.layout.n_features:
            raise ValueError(
                f"X has the shape {tuple(np.shape(X))}, but the net was trained on samples of "
                f"shape {self.layout.shape}; pass rows (n, {self.layout.n_features}) or images."
            )
        return self.reconstruct(rows).reshape(-1, *(image_shape or rows.shape[1:]))

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


class _ModuleInUnits:
    """The state of a net's module together with the units of its data."""

    FIELDS = ("shift", "scale", "variance", "count")

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
        fields = {name: float(state[key]) for name, key in names.items()}
        self.net.scaling = Scaling(**{**fields, "count": int(fields["count"])})
        weights = {key: v for key, v in state.items() if key not in names.values()}
        self.module.load_state_dict(weights)

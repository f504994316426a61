"""How an estimator is fitted: it reads the data, makes a net, has it trained, and finishes."""

import math
from contextlib import contextmanager
from functools import partial
from numbers import Integral

import numpy as np
import torch
from sklearn.utils import check_consistent_length
from torch.nn import Module

from ._calibration import splits
from ._data._beside import warn_of_channels
from ._data._extremes import leave_out_far, warn_few
from ._data._kinds import explaining, refuse_pair
from ._data._layout import Layout
from ._data._repeats import draw
from ._data._scaling import Scaling
from ._data._stored import subsample, take_rows
from ._data._validation import check_unit_interval, validate_rows
from ._finishing import MOST_REFITTED, Finishing, take_target
from ._net._batches import Rows, hold_out
from ._net._distributed import broadcast, rank_and_size
from ._net._net import Net
from ._net._schedules import LR_SCHEDULES, OPTIMIZERS
from ._net._start import n_held_out, needs_no_path, start_at_components, weigh_network
from ._net._trainer import Trainer
from ._net_params import check_net_params
from ._observers import Progress, observe
from ._parameters import (
    choose,
    choose_batch_size,
    choose_device,
    choose_hidden_channels,
    draw_seed,
)
from ._warnings import warn
from .losses import as_loss, identity
from .modules import Autoencoder
from .scores import as_score

# Up to so many rows training starts at the principal components without a pilot, and on so many a
# pilot is run at most; the shares of max_epochs that it takes, without them and with them.
N_NO_PILOT, N_PILOT, PILOT_PLAIN, PILOT_LINEAR = 200, 2000, 0.7, 0.3
# What the network is told, and how for each link of a loss.
LINEAR_PATH, LINEAR_PATHS = "module__linear_path", {identity: True, torch.sigmoid: "logits"}
ARCHITECTURE = (
    "hidden_channels",
    "hidden_units",
    "kernel_size",
    "activation",
    "normalization",
    "condition",
)


class Fitting(Finishing):
    """`fit` and `partial_fit`, without their texts.

    A fit goes down once: data, then for the net and for each fold of the calibration a net and
    its trainer, then what is learned from the trained net.
    """

    # What a kind of autoencoder replaces.
    _net_class, _network_class, _loss_parameter = Net, Autoencoder, "loss"

    def _fit(self, X, y=None, target=None):
        with _all_or_nothing(self):
            rows, layout = self._read_fit(X)
            target, learned = self._read_target(target, rows, layout, reset=True)
            vars(self).update(learned)
            kept = self._leave_out(rows, target, layout)
            rows, target = take_rows(rows, kept), take_target(target, kept)
            parts = self._split(rows, target)
            own, folds = (parts[0][0], []) if self._holds_out() else (None, parts)
            earlier = getattr(self, "net_", None) if self.warm_start else None
            own_rows, own_target = take_rows(rows, own), take_target(target, own)
            observers = observe(self, X, y, lambda net: self._view(net, own_rows, own_target))
            whole = self._loss().unit_interval  # the unit of all rows, held-out ones too
            scaling = self._scale(
                rows if whole else own_rows, target if whole else own_target, layout
            )
            self._warn_few(rows, layout, Scaling(), kept, scaling if own is None else None)
            net, unseen = self._train(own_rows, own_target, layout, scaling, observers, earlier)
            vars(self).update(self._finish(net, unseen, own_rows, own_target, rows))
            nets = [self._train_fold(rows, target, layout, index, net) for index, _ in folds]
            self._calibrate(nets or [net], [take_rows(rows, index) for _, index in parts])
        return self

    def _partial_fit(self, X, target=None):
        self._validate_params()  # scikit-learn skips it on a fitted estimator
        earlier = getattr(self, "net_", None)
        self._check_stream(earlier)
        with _all_or_nothing(self):
            rows, layout = self._read_fit(X) if earlier is None else self._read_chunk(X)
            target, learned = self._read_target(target, rows, layout, reset=earlier is None)
            vars(self).update(learned)
            kept = self._leave_out(rows, target, layout, earlier)
            if kept is not None and not len(kept):
                return self
            rows, target = take_rows(rows, kept), take_target(target, kept)
            parts, everything = self._split(rows, target, streaming=earlier is not None), rows
            held_out = [take_rows(rows, index) for _, index in parts]
            own = parts[0][0] if parts else None
            self._warn_few(rows, layout, earlier.scaling if earlier else Scaling(), kept)
            if own is not None and not len(own):  # a chunk of few rows, all of them held out
                self._calibrate([earlier], held_out, streaming=True)
                return self
            rows, target = take_rows(rows, own), take_target(target, own)
            scaling = self._scale(rows, target, layout, earlier and earlier.scaling)
            net, unseen = self._train(rows, target, layout, scaling, (), earlier, streaming=True)
            learned = self._finish(net, unseen, rows, target, everything, earlier, streaming=True)
            vars(self).update(learned)
            self._calibrate([net], held_out, streaming=True)
        return self

    def _check_stream(self, earlier):
        """Whether a chunk can follow on those before."""
        if earlier is not None and self._loss() != earlier.loss:
            raise ValueError(
                f"{self._loss_text()} is not the {self._loss_parameter} of the calls before, on "
                f"which the scaling of the data depends; set it back, or start anew with fit."
            )
        if self.calibration is not None and not self._holds_out():
            raise ValueError(
                f"calibration={self.calibration} folds need all data at once, in fit; pass the "
                f"share of each chunk to hold out, or None and call recalibrate at the end."
            )

    # Data -----------------------------------------------------------------------------------

    def _read_fit(self, X):
        """Rows and their layout, of the data that decide about both."""
        refuse_pair(X)
        with explaining(X, self.input_shape):
            rows, image_shape = validate_rows(self, X, reset=True)
            layout = Layout.infer(rows.shape[1], image_shape, self.input_shape, self.channel_axis)
        if self.input_shape is None:
            warn_of_channels(rows, layout)
        return rows, layout

    def _read_chunk(self, X):
        """The same, of data that must be like those before."""
        layout, shape = self.net_.layout, self.input_shape
        given = Layout.given(layout.shape if shape is None else shape, self.channel_axis)
        if changes := given.changes_since(layout):
            raise ValueError(
                f"a sample changed since the calls before: {'; '.join(changes)}. Set that back, "
                f"or start anew with fit."
            )
        return self._validate(X, compared=False)[0], layout

    def _read_target(self, target, rows, layout, reset):
        """What is to be given back for each row, and attributes that are learned from it."""
        return target, {}

    def _split(self, rows, target, streaming=None):
        """Pairs of indices, to train on and to calibrate on."""
        if self.calibration is None:
            return []
        if target is not None:
            check_consistent_length(rows, target)
        return splits(self.calibration, rows, self.random_state, streaming)

    def _holds_out(self):
        """Whether a share of the samples is held out to calibrate on."""
        return self.calibration is not None and not isinstance(self.calibration, Integral)

    def _leave_out(self, rows, target, layout, earlier=None):
        """Indices of rows without a few that are far from all others; None for all.

        All are used where the loss says what values there are.
        """
        if self._loss().unit_interval:
            return None
        arrays = {"X": rows} | ({"target": target} if getattr(target, "ndim", 1) == 2 else {})
        labels = self._labels_of(target)
        if earlier is None:
            return leave_out_far(arrays, layout, labels)
        known = () if labels is None else np.flatnonzero(self.class_prior_)
        return leave_out_far(arrays, layout, labels, earlier.scaling, known)

    def _warn_few(self, rows, layout, earlier, numbers=None, scaling=None):
        """Of all rows, for those that are held out decide on the threshold."""
        if not self._loss().unit_interval:
            warn_few(rows, layout, scaling or earlier.updated(rows, layout), numbers)

    def _scale(self, rows, target, layout, earlier=None):
        """The units of the data; those of an earlier chunk are brought up to date."""
        if not self._loss().unit_interval:
            return (earlier or Scaling()).updated(rows, layout)
        scaling = earlier.extended(rows) if earlier else Scaling.unit_interval(rows)
        check_unit_interval(rows, scaling, self._loss_text())
        return scaling

    # Training -------------------------------------------------------------------------------

    def _train(
        self,
        rows,
        target,
        layout,
        scaling,
        observers=(),
        earlier=None,
        streaming=False,
        like=None,
        pilot=False,
    ):
        """A net trained on the rows, from ``earlier`` on where there is such; rows it did not see.

        It starts as the net ``like`` did, where that is given.
        """
        paired = target is not None
        make = partial(self._make_net, layout, scaling, paired=paired, pilot=pilot)
        linear = self._has_linear_path(make, rows, target, earlier or like, streaming)
        net = make(len(rows), linear=linear)
        if earlier is not None:
            net.continue_from(earlier)
            if linear:
                net.network.absorb_share_()
        elif linear:
            start_at_components(net, rows)
        inputs, targets = self._to_train(net, rows, target, streaming)
        stopping = self.early_stopping and not streaming
        fraction = self.validation_fraction if stopping else None
        train, valid = hold_out(inputs, fraction, net.permutation)
        held_out, large = valid, self._lacks_calibration() and len(rows) > MOST_REFITTED
        if (linear or large) and not streaming and not stopping:
            train, held_out = _hold_out_to_weigh(rows)
        epochs = 1 if streaming else self.max_epochs
        self._make_trainer(
            net,
            epochs,
            patience=self.n_iter_no_change if stopping else None,
            streaming=streaming,
            pilot=pilot,
            observers=[*observers, *self._progress(epochs, pilot)],
        ).train(inputs, targets, train, valid)
        if linear and len(held_out):
            weigh_network(net, inputs, held_out)
        return net, held_out

    def _make_trainer(self, net, epochs, streaming=False, **options):
        schedule = None if streaming else choose(LR_SCHEDULES, self.lr_schedule)
        return Trainer(
            net,
            epochs=epochs,
            lr_schedule=schedule,
            trim=self.trim_fraction,
            streaming=streaming,
            **options,
        )

    def _train_fold(self, rows, target, layout, index, like, streaming=False, pilot=False):
        """A net trained on some of the rows, to judge the others."""
        rows, target = take_rows(rows, index), take_target(target, index)
        scaling = like.scaling
        if not (pilot or like.loss.unit_interval):
            scaling = self._scale(rows, target, layout)
        net, _ = self._train(
            rows, target, layout, scaling, streaming=streaming, like=like, pilot=pilot
        )
        net.learn_reference(rows, self._labels_of(target), self.trim_fraction)
        return net

    # The start ------------------------------------------------------------------------------

    def _has_linear_path(self, make, rows, target, like, streaming):
        """Whether a linear path leads past the layers, as in the net ``like`` where given."""
        given = (self.net_params or {}).get(LINEAR_PATH)
        if not (given is None or given == "auto" or isinstance(given, (bool, np.bool_))):
            raise ValueError(
                f"net_params[{LINEAR_PATH!r}] is {given!r}; pass True, False or 'auto'."
            )
        if given and target is not None:
            raise ValueError(
                f"net_params[{LINEAR_PATH!r}]={given!r} is for inputs that are their own targets; "
                f"leave it out with target or labels."
            )
        wanted = None if given is None or given == "auto" else bool(given)
        if like is not None:
            has = like.linear_path is not None
            if wanted not in (None, has):
                raise ValueError(
                    f"net_params[{LINEAR_PATH!r}]={given!r}, but the earlier fit, from which "
                    f"training goes on, was {'with' if has else 'without'} the path; leave the "
                    f"entry out, or pass warm_start=False and call fit."
                )
            return has
        if wanted is not None or target is not None or not self._may_have_linear_path():
            return bool(wanted)
        if streaming:
            if len(rows) <= self.n_components < rows.shape[1]:
                warn(
                    f"there are {len(rows)} rows of the first chunk to train on, too few to start "
                    f"at the principal components of n_components={self.n_components}, without "
                    f"which streams learn slowly; begin with a larger one, of some hundred rows."
                )
            return len(rows) > self.n_components
        if len(rows) <= N_NO_PILOT:
            return True
        few = take_rows(rows, subsample(rows, N_PILOT, 0))
        plain = self._run_pilot(make(len(few), pilot=True), few, PILOT_PLAIN)
        linear = self._run_pilot(make(len(few), linear=True, pilot=True), few, PILOT_LINEAR)
        return broadcast(not needs_no_path(plain, linear))

    def _may_have_linear_path(self):
        """Whether the code and the output are those of linear layers."""
        entries = self.net_params or {}
        bent = ("tied_weights", "code_activation", "output_activation")
        return (
            self.module is None
            and self._network_class is Autoencoder
            and self.n_components is not None
            and self._loss().link in LINEAR_PATHS
            and not any(entries.get(f"module__{name}") for name in bent)
            and not self.trim_fraction  # what would be left out decides on principal components
        )

    def _linear_path_entry(self, linear):
        """What the network is told of it."""
        if linear:
            return {LINEAR_PATH: LINEAR_PATHS.get(self._loss().link, True)}
        own = self.module is None and self._network_class is Autoencoder
        return {LINEAR_PATH: False} if own and LINEAR_PATH in (self.net_params or {}) else {}

    def _run_pilot(self, net, rows, share_of_epochs):
        """The losses of held-out rows after a share of the epochs."""
        inputs, _ = self._to_train(net, rows, None, False)
        train, held_out = _hold_out_to_weigh(rows)
        if net.linear_path is not None:
            start_at_components(net, take_rows(rows, train))
        epochs = math.ceil(share_of_epochs * self.max_epochs)
        trainer = self._make_trainer(
            net, epochs, pilot=True, observers=self._progress(epochs, pilot=True)
        )
        trainer.train(inputs, None, train, train[:0])
        return weigh_network(net, inputs, held_out)

    def _progress(self, epochs, pilot=False):
        """What prints: of several processes only the first."""
        first = rank_and_size()[0] == 0
        return [Progress(epochs, pilot)] if self.verbose and first else []

    def _to_train(self, net, rows, target, streaming):
        """Inputs and targets as the trainer reads them; None are the inputs themselves."""
        inputs = Rows(rows, net.layout, net.device)
        if target is None:
            return inputs, None
        return inputs, Rows(target, net.layout, net.device)

    def _labels_of(self, target):
        """Indices of labels, of a conditional model."""
        return None

    # The net --------------------------------------------------------------------------------

    def _make_net(self, layout, scaling, n_samples, paired, linear=False, pilot=False):
        if isinstance(self.module, Module):
            raise TypeError(
                f"module is an instance of {type(self.module).__name__}; pass its class, or a "
                f"function that builds it, so that each fit gets new weights."
            )
        own = self._module_arguments(layout)
        given = {entry: entry.removeprefix("module__") for entry in own}
        given = {entry: name for entry, name in given.items() if name in vars(self)}
        given = dict.fromkeys(own) | given | {"optimizer__lr": "learning_rate"}
        variational = self._loss_parameter == "likelihood"
        net = self._net_class(
            self._network_class if self.module is None else self.module,
            loss=self._loss(),
            layout=layout,
            scaling=scaling,
            seed=broadcast(draw_seed(self.random_state)),
            score=as_score(self.anomaly_score),
            corruption=None if paired else self._make_corruption(),
            precision=self.precision,
            estimator=type(self).__name__,
            device=choose_device(self.device),
            optimizer=choose(OPTIMIZERS, self.optimizer),
            lr=self.learning_rate,
            batch_size=choose_batch_size(self.batch_size, n_samples),
            **own,
            **self._net_options(),
            **check_net_params(self.net_params, given, variational)
            | self._linear_path_entry(linear)
            | ({"callbacks": None, "compile": False} if pilot else {}),
        ).initialize()
        # To remove noise, or to give back another sample, is no identity that a code can copy.
        copies = net.corruption is None and (variational or not paired)
        if not pilot and copies and net.code_size_ > layout.n_features:
            warn(
                f"the code of {net.code_size_} values is larger than the {layout.n_features} "
                f"features of X, so it need not learn anything; pass a smaller n_components, or "
                f"with n_components=None fewer filters in the last stage."
            )
        return net

    def _module_arguments(self, layout):
        """What the estimator itself tells the network, as skorch takes it."""
        arguments = {
            "n_channels": layout.n_channels,
            "spatial_shape": layout.spatial,
            "n_components": self.n_components,
        }
        if self.module is None:
            arguments |= {
                name: getattr(self, name) for name in ARCHITECTURE if hasattr(self, name)
            }
            arguments["hidden_channels"] = choose_hidden_channels(
                self.hidden_channels, layout.spatial
            )
        return {f"module__{name}": value for name, value in arguments.items()}

    def _net_options(self):
        """What the net of a kind of estimator takes beyond the arguments of all."""
        return {}

    def _make_corruption(self):
        return None

    def _loss(self):
        return as_loss(self.loss)

    def _loss_text(self):
        return f"{self._loss_parameter}={getattr(self, self._loss_parameter)!r}"


def _hold_out_to_weigh(rows):
    """Indices to train on, and of the rows that weigh the network against the linear path.

    The same in every call, so that a warm start does not train on the latter.
    """
    held_out = draw(rows, n_held_out(len(rows)), 0)
    return np.setdiff1d(np.arange(len(rows)), held_out), held_out


@contextmanager
def _all_or_nothing(estimator):
    """Give the estimator its attributes back if fitting fails or is interrupted."""
    before = dict(vars(estimator))
    try:
        yield
    except BaseException:
        vars(estimator).clear()
        vars(estimator).update(before)
        raise

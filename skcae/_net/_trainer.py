"""The training of a net: the only loop over epochs, its schedule, and what ends it."""

import math
import time
from contextlib import nullcontext
from itertools import repeat

import torch
from sklearn.exceptions import ConvergenceWarning
from torch import Tensor

from .._data._stored import subsample, take_rows
from .._warnings import warn
from ..losses import Likelihood
from ._batches import Rows, split_batches, to_device
from ._compiled import compile_methods
from ._distributed import average_gradients, broadcast_buffers, rank_and_size, sum_over_processes
from ._schedules import factor_at
from ._skorch import StopTraining

# Share of the steps after which the worst of each batch are left out; rows on which the end of a
# training is checked.
TRIM_WARMUP, N_CHECKED = 0.2, 200


class Trainer:
    """Trains a net for some epochs.

    Parameters
    ----------
    net : Net
        Initialized.
    epochs : int
        How many, at most.
    lr_schedule : callable or None
        The factor of the learning rate after a share of the steps.
    patience : int or None
        Epochs without a lower validation loss after which to stop.
    trim : float
        Share of each batch, that with the largest losses, that is left out.
    streaming : bool
        Whether this is one chunk of many, so that nothing can depend on the share of the
        training that is done.
    pilot : bool
        Whether this decides about a training that follows, so that nobody is warned.
    observers : sequence of object
        Hear of the begin and the end of each epoch, of the steps in it, and of the end; one that
        raises :class:`StopTraining` at the end of an epoch ends the training.
    """

    def __init__(
        self,
        net,
        *,
        epochs,
        lr_schedule=None,
        patience=None,
        trim=0.0,
        streaming=False,
        pilot=False,
        observers=(),
    ):
        self.net, self.epochs, self.schedule, self.patience = net, epochs, lr_schedule, patience
        self.trim, self.streaming, self.observers = trim, streaming, observers
        self.pilot = pilot
        # The first chunk of a stream is explained too badly to tell what is abnormal in it.
        self.may_trim = not streaming or len(net.history) > 0
        self.objective = average_gradients(
            net.objective, net.module_, net.device, dynamic=not net.owns_weights
        )
        self.step, self.n_steps = 0, 1
        self.lowest, self.highest = {}, -math.inf
        self.since_best, self.best, self.stopped = 0, None, False
        self.base_rates = [float(group["lr"]) for group in net.optimizer_.param_groups]
        self.finite = self._copy_weights()

    def train(self, X, y, train, valid):
        """Train on some rows and validate on others, both by their indices.

        ``X`` and ``y`` have ``batches``; None for ``y``: to reconstruct ``X`` itself. With rows
        to validate on, the weights of the best epoch are kept.
        """
        net = self.net
        self.n_steps = self.epochs * len(self._split(train))
        compiled = nullcontext()
        if net.compile:
            compiled = compile_methods(net.network, **net.get_params_for("compile"))
        net.notify("on_train_begin", X=X, y=y)
        with net.isolate(net.batch_size), compiled:
            try:
                for _ in range(self.epochs):
                    self._tell("begin_epoch", self.n_steps // self.epochs)
                    self._run_epoch(X, y, train, valid)
                    self._tell("end_epoch")
                    self._check_progress()
            except StopTraining:
                pass
            finally:
                net.module_.train(False)
        self._restore_best()
        net.notify("on_train_end", X=X, y=y)
        self._tell("end_training")
        if net.history and not self.pilot:
            self._check_end(y.array if isinstance(y, Rows) else X.array)

    def _tell(self, event, *details):
        for observer in self.observers:
            getattr(observer, event)(self.net, *details)

    def _run_epoch(self, X, y, train, valid):
        net, started = self.net, time.perf_counter()
        net.notify("on_epoch_begin", dataset_train=X, dataset_valid=None)
        n_rows = min(len(train), net.batch_size) // rank_and_size()[1]
        net.module_.train(n_rows > 1)  # one row has no statistics
        loss = self._run_batches(X, y, train)
        net.module_.train(False)
        broadcast_buffers(net.module_)
        loss = float(net.loss_in_units(self._check_finite(loss)))
        self.highest = max(self.highest, loss)
        self._record("train_loss", loss)
        if len(valid):
            targets = None if y is None else take_rows(y.array, valid)
            self._record(
                "valid_loss", float(net.losses(take_rows(X.array, valid), targets).mean())
            )
            self._remember_best()
        net.history.record("dur", time.perf_counter() - started)
        try:
            net.notify("on_epoch_end", dataset_train=X, dataset_valid=None)
        except StopTraining:  # of a callback, after this epoch
            self.stopped = True

    # Steps ----------------------------------------------------------------------------------

    def _split(self, index):
        return split_batches(index, self.net.batch_size, rank_and_size()[1])

    def _run_batches(self, X, y, index):
        """One pass over the shuffled rows; the mean loss, on the device.

        Of several processes each takes its share of every batch.
        """
        net, (rank, n_ranks) = self.net, rank_and_size()
        batches = self._split(X.shuffle(index, net.permutation, n_ranks))
        own = [batch[rank::n_ranks] for batch in batches]
        targets = repeat(None) if y is None else y.batches(own)
        # One tensor: many small ones, kept, would keep the memory of the batches between them.
        losses = torch.empty(len(own), dtype=torch.float64, device=net.device)
        for i, (x, target) in enumerate(zip(X.batches(own), targets, strict=False)):
            weight = n_ranks * len(x) / len(batches[i])
            losses[i] = self._run_step(
                *net.prepare(*net.augment(x, target)), self._advance(), weight
            )
            self._tell("end_step")
        sizes = torch.tensor([len(part) for part in own], dtype=torch.float64)
        return sum_over_processes(losses @ to_device(sizes, net.device)) / len(index)

    def _advance(self) -> float:
        """Begin a step: set the learning rate; the share of the steps that is done."""
        share = self.step / self.n_steps
        if self.schedule is not None:
            groups, factor = self.net.optimizer_.param_groups, factor_at(self.schedule, share)
            for group, base in zip(groups, self.base_rates, strict=True):
                group["lr"] = base * factor
        self.step += 1
        return 1.0 if self.streaming else share

    def _run_step(self, inputs: Tensor, target: Tensor, share: float, weight: float) -> Tensor:
        """One step of the optimizer, which may call the closure more than once.

        ``weight`` is that of this process's rows among those of all.
        """
        net = self.net
        trim = self.trim if self.may_trim and share >= TRIM_WARMUP else 0.0

        def closure():
            net.optimizer_.zero_grad()
            loss = self.objective(inputs, target, share, trim)
            (loss if weight == 1 else weight * loss).backward()
            if net.callbacks_:
                named = list(net.get_all_learnable_params())
                self._notify("on_grad_computed", inputs, target, named_parameters=named)
            return loss

        if not net.callbacks_:
            return net.optimizer_.step(closure).detach()
        net.history.new_batch()
        self._notify("on_batch_begin", inputs, target)
        loss = net.optimizer_.step(closure).detach()
        net.history.record_batch("train_loss", float(net.loss_in_units(loss)))
        net.history.record_batch("train_batch_size", len(inputs))
        self._notify("on_batch_end", inputs, target, loss=loss)
        return loss

    def _notify(self, event, inputs, target, **kwargs):
        """Call the user's callbacks within an epoch."""
        self.net.notify(event, batch=(inputs, target), training=True, **kwargs)

    # Progress -------------------------------------------------------------------------------

    def _copy_weights(self):
        return {name: value.clone() for name, value in self.net.module_.state_dict().items()}

    def _record(self, name, loss):
        """Write a loss to the history, and whether it is the lowest of this run (for skorch)."""
        best = loss < self.lowest.get(name, math.inf)
        self.lowest[name] = loss if best else self.lowest.get(name, loss)
        self.net.history.record(name, loss)
        self.net.history.record(f"{name}_best", best)

    def _check_finite(self, loss):
        """The loss of an epoch; back to the one before if it or a weight is not finite.

        This is where an epoch waits for the device, once.
        """
        weights = self._copy_weights()
        checks = [w.isfinite().all() for w in weights.values() if w.is_floating_point()]
        loss, finite = torch.stack([loss, torch.stack(checks).all().to(loss)]).tolist()
        if finite and math.isfinite(loss):
            self.finite = weights
            return loss
        net = self.net
        epoch = net.history[-1]["epoch"]
        net.history.pop()
        net.module_.load_state_dict(self.finite)
        net.optimizer_.state.clear()
        if self.pilot:
            raise StopTraining
        warn(
            f"the loss was no longer finite in epoch {epoch}; training stopped, and the weights "
            f"are those from before that epoch. Lower learning_rate, clip gradients with "
            f"net_params={{'callbacks': [skorch.callbacks.GradientNormClipping(1.0)]}}, or look "
            f"for extreme values in X.",
            ConvergenceWarning,
        )
        raise StopTraining

    def _check_end(self, rows):
        """Warn where training diverged and did not end better than to give back the mean."""
        net = self.net
        loss = self.lowest.get("valid_loss", net.history[-1]["train_loss"])
        x = net.standardize(rows[subsample(rows, N_CHECKED, net.seed)])
        with torch.inference_mode():
            mean, ceiling = _losses_of_the_mean(net, x)
            finite = bool(net.output(x).square().isfinite().all())  # after the last step, too
        if not finite or (self.highest > ceiling and loss > mean - 0.1 * abs(mean)):
            warn(
                f"training diverged: its loss was up to {self.highest:.4g} and ended at "
                f"{loss:.4g}, where to give back the mean of the data has {mean:.4g}. Lower "
                f"learning_rate, or clip gradients with "
                f"net_params={{'callbacks': [skorch.callbacks.GradientNormClipping(1.0)]}}.",
                ConvergenceWarning,
            )

    def _remember_best(self):
        self.since_best += 1
        if self.net.history[-1]["valid_loss_best"]:
            self.since_best, self.best = 0, self._copy_weights()

    def _check_progress(self):
        """Stop where a callback asks for it, or after ``patience`` epochs that were not better."""
        if self.stopped:
            raise StopTraining
        if self.patience is not None and self.since_best >= self.patience:
            raise StopTraining

    def _restore_best(self):
        """The rate as it was before, and the weights of the best epoch."""
        groups = self.net.optimizer_.param_groups
        for group, base in zip(groups, self.base_rates, strict=True):
            group["lr"] = base
        if self.best is not None:
            self.net.module_.load_state_dict(self.best)


def _losses_of_the_mean(net, x: Tensor):
    """The loss of an output that is always zero, the mean or one half, and one far above it."""
    zero, one = torch.zeros_like(x), torch.ones((), device=x.device)
    if isinstance(net.loss, Likelihood):
        loss = -float(net.loss.per_sample(zero, x, one).mean())
        far = loss + 10 * net.layout.n_features  # nats
    else:
        loss = float(net.criterion_(zero, x).mean())
        far = loss + 9 * max(abs(loss), 1.0)  # before the first step outputs are of size one
    return net.loss_in_units(loss), net.loss_in_units(far)

"""One run of training: schedule, divergence, early stopping, and who hears of the epochs."""

import math
import sys
import time
import warnings

import torch
from sklearn.exceptions import ConvergenceWarning

from ._distributed import averaged


class StopTraining(Exception):  # noqa: N818 - a signal, not an error
    """Ends the training loop after the current epoch."""


class Run:
    """One call of ``Net.train``: learning rate, divergence and early stopping."""

    def __init__(self, net, n_steps, lr_schedule, patience, streaming):
        self.net, self.n_steps, self.schedule, self.patience = net, n_steps, lr_schedule, patience
        self.streaming = streaming
        net.warm = not streaming or len(net.history) > 0
        self.objective = averaged(net)
        self.step = 0
        self.lowest = {}
        self.since_best, self.best = 0, None
        self.base_lrs = [float(group["lr"]) for group in net.optimizer_.param_groups]
        self.finite = self._weights()

    def _weights(self):
        return {k: v.clone() for k, v in self.net.module_.state_dict().items()}

    def record(self, name, loss):
        """Write a loss to the history, and whether it is the lowest of this run (for skorch)."""
        best = loss < self.lowest.get(name, math.inf)
        self.lowest[name] = loss if best else self.lowest.get(name, loss)
        self.net.history.record(name, loss)
        self.net.history.record(f"{name}_best", best)

    def advance(self):
        """Begin a step: the share of the steps done, and the learning rate."""
        share = self.step / self.n_steps
        self.net.share = 1.0 if self.streaming else share
        if self.schedule is not None:
            factor = self.schedule(share)
            groups = self.net.optimizer_.param_groups
            for group, base in zip(groups, self.base_lrs, strict=True):
                group["lr"] = base * factor
        self.step += 1

    def check_finite(self, loss):
        """The loss of an epoch; back to the one before if it or a weight is not finite.

        This is where an epoch waits for the device, once.
        """
        weights = self._weights()
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
        warnings.warn(
            f"the loss was no longer finite in epoch {epoch}; training stopped, and the weights "
            f"are those from before that epoch. Lower learning_rate, clip gradients with "
            f"net_params={{'callbacks': [skorch.callbacks.GradientNormClipping(1.0)]}}, or look "
            f"for extreme values in X.",
            ConvergenceWarning,
            stacklevel=2,
        )
        raise StopTraining

    def remember_best(self):
        self.since_best += 1
        if self.net.history[-1]["valid_loss_best"]:
            self.since_best, self.best = 0, self._weights()

    def check_progress(self):
        """Stop after ``patience`` epochs that were not better."""
        if self.patience is not None and self.since_best >= self.patience:
            raise StopTraining

    def keep_best(self):
        for group, base in zip(self.net.optimizer_.param_groups, self.base_lrs, strict=True):
            group["lr"] = base
        if self.best is not None:
            self.net.module_.load_state_dict(self.best)


class Progress:
    """Prints a line an epoch, or keeps one bar up to date."""

    def __init__(self, epochs, bar):
        self.epochs, self.bar, self.started = epochs, bar, time.perf_counter()
        self.done = 0

    def begin_epoch(self, net):
        pass

    def end_epoch(self, net):
        self.done += 1
        row = net.history[-1]
        elapsed = time.perf_counter() - self.started
        left = elapsed / self.done * (self.epochs - self.done)
        losses = "  ".join(
            f"{label} {row[key]:.6g}".ljust(len(label) + 12)
            for label, key in (("loss", "train_loss"), ("validation", "valid_loss"))
            if key in row
        )
        width = len(str(self.epochs))
        line = f"epoch {self.done:{width}d}/{self.epochs}  {losses}  {_clock(left):>6} left"
        if self.bar:
            filled = round(20 * self.done / self.epochs)
            line = f"\r{'#' * filled}{'.' * (20 - filled)} {line}"
        sys.stdout.write(line if self.bar else f"{line}\n")
        sys.stdout.flush()

    def end_training(self, net):
        if self.bar:
            sys.stdout.write("\n")


def _clock(seconds):
    minutes, seconds = divmod(round(seconds), 60)
    return f"{minutes:d}:{seconds:02d}"


def _one_cycle(t):
    """Rise from 1/25 in the first 30 percent, then fall to zero, along cosines (Smith, 2018)."""
    if t < 0.3:
        return 1 / 25 + (1 - 1 / 25) * (1 - math.cos(math.pi * t / 0.3)) / 2
    return (1 + math.cos(math.pi * (t - 0.3) / 0.7)) / 2


def _cosine(t):
    return (1 + math.cos(math.pi * t)) / 2


# The factor of the learning rate after the share ``t`` in [0, 1) of all steps.
LR_SCHEDULES = {"one_cycle": _one_cycle, "cosine": _cosine, "constant": None}
OPTIMIZERS = {
    "adamw": torch.optim.AdamW,
    "adam": torch.optim.Adam,
    "rmsprop": torch.optim.RMSprop,
    "sgd": torch.optim.SGD,
}

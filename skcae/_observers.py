"""Who hears of the epochs of a training: lines and bars of progress, scikit-learn's callbacks."""

import sys
import time

from ._net._skorch import StopTraining
from ._private import callback_context

# Seconds after which an epoch shows a bar.
DELAY = 0.5


class Progress:
    """Prints a line an epoch, and in terminals and notebooks shows a bar within long ones.

    Parameters
    ----------
    epochs : int
        How many there will be.
    pilot : bool
        Whether this is a training on a part of the rows that tells something about the whole one,
        so that it has bars but no lines.
    """

    def __init__(self, epochs, pilot=False):
        self.epochs, self.started, self.done = epochs, time.perf_counter(), 0
        self.pilot, self.bar = pilot, None

    def begin_epoch(self, net, n_steps):
        width = len(str(self.epochs))
        epoch = f"epoch {self.done + 1:{width}d}/{self.epochs}"
        self.bar = make_bar(f"part of X, {epoch}" if self.pilot else epoch, n_steps)

    def end_step(self, net):
        if self.bar is not None:
            self.bar.update()

    def end_epoch(self, net):
        self.done += 1
        self.close()
        if not self.pilot:
            self._print_line(net.history[-1])

    def _print_line(self, row):
        width = len(str(self.epochs))
        elapsed = time.perf_counter() - self.started
        left = elapsed / self.done * (self.epochs - self.done)
        losses = "  ".join(
            f"{label} {row[key]:.6g}".ljust(len(label) + 12)
            for label, key in (("loss", "train_loss"), ("validation", "valid_loss"))
            if key in row
        )
        line = f"epoch {self.done:{width}d}/{self.epochs}  {losses}  {_clock(left):>6} left\n"
        sys.stdout.write(line)
        sys.stdout.flush()

    def close(self):
        """Take the bar away, of an epoch that is interrupted too."""
        if self.bar is not None:
            self.bar.close()
            self.bar = None

    def end_training(self, net):
        self.close()


def make_bar(text, n_steps):
    """A bar of tqdm, or None where neither a terminal nor a notebook would show it."""
    from tqdm import auto, notebook  # asks where it runs, and whether widgets are installed

    if not (issubclass(auto.tqdm, notebook.tqdm_notebook) or sys.stderr.isatty()):
        return None
    return auto.tqdm(desc=text, total=n_steps, unit="batch", leave=False, delay=DELAY)


def _clock(seconds):
    minutes, seconds = divmod(round(seconds), 60)
    return f"{minutes:d}:{seconds:02d}"


class CallbackBridge:
    """Runs scikit-learn's callbacks, one task an epoch.

    Parameters
    ----------
    estimator : object
        Whose callbacks they are.
    context : object
        That of its fit.
    X, y : object
        What it is fitted to, as given.
    attributes : callable
        ``attributes(net)`` are the fitted attributes with which a callback may call the methods
        of the estimator while it trains.
    """

    def __init__(self, estimator, context, X, y, attributes):
        self.estimator, self.context, self.attributes = estimator, context, attributes
        self.data = {"X": X, "y": y}
        context.call_on_fit_task_begin(estimator=estimator, **self.data)

    def begin_epoch(self, net, n_steps):
        self.epoch = self.context.subcontext(task_name="epoch")
        self.epoch.call_on_fit_task_begin(estimator=self.estimator, **self.data)

    def end_step(self, net):
        pass

    def end_epoch(self, net):
        if self._end(self.epoch, net):
            raise StopTraining

    def end_training(self, net):
        self._end(self.context, net)

    def _end(self, context, net):
        return context.call_on_fit_task_end(
            estimator=self.estimator,
            reconstruction_attributes=lambda: self.attributes(net),
            **self.data,
        )


def observe(estimator, X, y, attributes):
    """A list with the bridge to scikit-learn's callbacks, empty where it has none."""
    context = callback_context(estimator, estimator.max_epochs)
    return [] if context is None else [CallbackBridge(estimator, context, X, y, attributes)]

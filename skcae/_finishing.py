"""What a fit learns from its trained net: what is normal, and where outliers begin."""

import numpy as np

from ._calibration import Calibration, uniform
from ._data._repeats import split
from ._data._stored import Stored, subsample, take_rows
from ._net._start import start_at_components
from ._net._trimming import n_kept
from ._private import safe_indexing
from ._thresholds import FALSE_ALARM_RATE, expected_threshold, threshold

# Scores that are kept; rows from which a view is learned.
N_SCORES, N_VIEW = 1000, 200
# Rows of a stream that are known again.
N_SEEN = 10_000
# Up to so many rows, but not of fewer than so many, a network more is trained, on all but one of
# so many folds, to see what scores to expect of rows that a network was not trained on. Of more
# rows some are held out.
MOST_REFITTED, FEWEST_REFITTED, N_FOLDS = 2000, 10, 5
# Folds that need no training are more, as long as they have no more than so many rows in all: the
# fewer rows a fold leaves out, the more its density is like that of the whole.
MOST_FOLDS, N_FOLDED = 20, 1500


class Finishing:
    """What comes after the training; the base trains."""

    def _attributes(self, net):
        """The fitted attributes that follow from the net alone."""
        return {
            "net_": net,
            "input_shape_": net.layout.shape,
            "n_components_": net.code_size_,
        }

    def _finish(self, net, unseen, rows, target, everything, earlier=None, streaming=False):
        """Learn from a trained net what is normal; the fitted attributes.

        ``unseen`` are indices of rows on which it was not trained, ``everything`` the rows of `X`,
        those of the calibration among them.
        """
        seen = self._seen(unseen, rows)
        learned, target_of_learned = take_rows(rows, seen), take_target(target, seen)
        labels = self._labels_of(target_of_learned)
        net.learn_reference(learned, labels, self.trim_fraction, streaming)
        attributes = self._attributes(net) | {"expected_scores_": None, "_rows_seen": None}
        if self.contamination != "auto":
            scores = net.anomaly_scores(everything)
            offset = float(np.percentile(-scores, 100 * self.contamination))
            return attributes | {"offset_": offset}
        if self.calibration is not None:  # which sets the offset
            return attributes
        if seen is not None:
            scores = net.anomaly_scores(_few(take_rows(rows, unseen)))
        elif earlier is not None and streaming and earlier.reference_.n_errors:
            scores, attributes["_rows_seen"] = self._expect_of_chunk(earlier, rows)
        else:
            scores = self._expect_scores(net, rows, target, streaming)
            attributes["_rows_seen"] = uniform(_few(rows), 0, b"r") if streaming else None
        offset = self._threshold(scores, find=expected_threshold)
        return attributes | {"expected_scores_": scores, "offset_": offset}

    def _seen(self, unseen, rows):
        """Indices of the rows to learn from, where the others tell the threshold; None is all."""
        if self._lacks_calibration() and len(unseen) and len(rows) > MOST_REFITTED:
            return np.setdiff1d(np.arange(len(rows)), unseen)
        return None

    def _lacks_calibration(self):
        """Whether the threshold has to be found from the rows of the training."""
        return self.contamination == "auto" and self.calibration is None

    def _view(self, net, rows, target):
        """The fitted attributes while the net trains, for callbacks: from a few rows, cheaply."""
        index = subsample(rows, N_VIEW, net.seed)
        few, labels = rows[index], self._labels_of(take_target(target, index))
        net.learn_reference(few, labels)
        offset = self._threshold(net.anomaly_scores(few, labels))
        return self._attributes(net) | {"expected_scores_": None, "offset_": offset}

    def _calibrate(self, nets, held_out, streaming=False):
        """Calibrate on what was held out; of a stream on the newest of it."""
        earlier = getattr(self, "calibration_", None) if streaming else None
        self.calibration_ = None
        if held_out:
            pairs = zip(nets, held_out, strict=True)
            parts = [(net, net.anomaly_scores(x) if len(x) else np.empty(0)) for net, x in pairs]
            self.calibration_ = Calibration(parts, nets[0].seed, earlier)
            if self.contamination == "auto":
                self.offset_ = self._threshold(self.calibration_.scores)

    def _threshold(self, scores, false_alarm_rate=FALSE_ALARM_RATE, find=threshold):
        """The offset; of scores among which there are the outliers that training trims."""
        kept = np.sort(scores)[: n_kept(len(scores), self.trim_fraction)]
        return find(kept, false_alarm_rate)

    def _expect_of_chunk(self, earlier, rows):
        """The expected scores with those of a chunk by the earlier net; the rows seen so far.

        Of rows that came in an earlier chunk the scores are not those of new ones. Scores of nets
        that had seen less than half as many rows are forgotten.
        """
        rows, known = _few(rows), getattr(self, "expected_scores_", None)
        numbers, seen = uniform(rows, 0, b"r"), getattr(self, "_rows_seen", None)
        known, seen = (np.empty(0) if values is None else values for values in (known, seen))
        fresh = np.flatnonzero(~np.isin(numbers, seen))
        seen = np.concatenate([seen, numbers[fresh]])
        if not len(fresh) and len(known):
            return known, seen
        fresh = fresh if len(fresh) else np.arange(len(rows))
        scores = np.concatenate([known, earlier.anomaly_scores(take_rows(rows, fresh))])
        n = min(N_SCORES, max(len(fresh), -(-len(seen) // 2)))
        return scores[-n:], seen[-N_SEEN:]

    def _expect_scores(self, net, rows, target, streaming):
        """Anomaly scores as of rows like these that the net has not seen.

        Those of rows that a fold leaves out come from the net of the fold. The others are those
        of the net, by densities of yet other rows, moved and stretched as the rows that are left
        out differ from those of the fold.
        """
        n = len(rows)
        if n < FEWEST_REFITTED:
            return net.cross_scores(rows) if n > 2 else net.anomaly_scores(rows)
        trained = net.linear_path is None or bool(net.linear_path.share)
        n_folds = N_FOLDS if trained else min(max(N_FOLDED // n, N_FOLDS), MOST_FOLDS, n)
        parts = split(rows, n_folds, np.random.default_rng(net.seed).permutation)
        if not trained:
            fold = self._make_net(
                net.layout, net.scaling, n, paired=False, linear=True, pilot=True
            )
            scores = []
            for part in parts:
                _restart(fold, take_rows(rows, _others(part, n)))
                scores.append(_scores_beside(net, fold, rows, part))
            return np.concatenate(scores)
        inside = _others(parts[0], n)
        fold = self._train_fold(rows, target, net.layout, inside, net, streaming, pilot=True)
        left_out = _scores_beside(net, fold, rows, parts[0])
        inside = _few(take_rows(rows, inside))
        mean, spread = _moments(left_out)
        mean_inside, spread_inside = _moments(fold.cross_scores(inside) + _shift(net, fold))
        stretch = max(1.0, spread / spread_inside) if spread_inside else 1.0
        moved = mean + stretch * (net.cross_scores(inside) - mean_inside)
        return np.concatenate([left_out, moved])[-N_SCORES:]


def _restart(net, rows):
    """Have a net, whose linear path is all of it, be as one of these rows."""
    start_at_components(net, rows)
    net.linear_path.share.zero_()
    net.learn_reference(rows)


def _scores_beside(net, fold, rows, index):
    """Scores of some rows by the net of a fold, comparable with those of another net."""
    return fold.anomaly_scores(take_rows(rows, index)) + _shift(net, fold)


def _shift(net, fold):
    return net.reference_.level() - fold.reference_.level()


def _few(rows):
    """At most as many as scores are kept."""
    return take_rows(rows, subsample(rows, N_SCORES, 0))


def _others(part, n):
    return np.setdiff1d(np.arange(n), part)


def _moments(scores):
    """Mean and standard deviation of those that are finite."""
    scores = scores[np.isfinite(scores)]
    return (scores.mean(), scores.std()) if len(scores) else (0.0, 0.0)


def take_target(target, index):
    """Rows of anything that holds one target for each row, or of None."""
    if target is None or index is None or isinstance(target, Stored):
        return target if target is None else take_rows(target, index)
    return safe_indexing(target, index)

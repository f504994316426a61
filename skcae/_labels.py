"""What a conditional model does with labels: they are checked, and become indices of classes."""

import numpy as np
import pandas as pd
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_consistent_length, column_or_1d

from ._data._validation import as_numpy
from ._net._batches import Labels


class Labelled:
    """The steps of a fit that labels change, before the class that has them without labels."""

    def _module_arguments(self, layout):
        n_classes = len(self.classes_)
        return super()._module_arguments(layout) | {"module__n_classes": n_classes}

    def _net_options(self):
        return super()._net_options() | {"n_classes": len(self.classes_)}

    def _read_target(self, target, rows, layout, reset):
        y, classes = target
        known = getattr(self, "classes_", None)
        if y is None and not reset and known.tolist() != [0]:
            raise ValueError(
                f"y is missing, but the calls before had the labels {as_list(known)}; pass y."
            )
        y = training_labels(y, rows)
        if classes is None and not reset:
            return label_indices(y, known, rows), {}
        classes = np.unique(y if classes is None else as_labels(classes, "classes"))
        if hasattr(self, "net_") and (self.warm_start or not reset):
            check_same_classes(classes, known, "fit" if reset else "partial_fit")
        return label_indices(y, classes, rows), {"classes_": classes}

    def _to_train(self, net, rows, target, streaming):
        net.count_labels(target, anew=not streaming)
        inputs, _ = super()._to_train(net, rows, None, streaming)
        return inputs, Labels(target, len(self.classes_), net.device)

    def _module_options(self):
        # No p-values: those of the calibration are of scores without labels.
        return {"classes": whole_labels(self.classes_)}

    def _labels_of(self, target):
        return target

    def _indices(self, y, rows):
        """Indices of the labels of some rows, or None."""
        return None if y is None else label_indices(y, self.classes_, rows)

    def _code_and_label(self, rows, mixed):
        weights = self.net_.label_posterior(rows)
        likely = weights.argmax(1)
        if mixed:
            return self.net_.encode_by(rows, weights), likely
        return self.net_.encode(rows, likely), likely


def as_labels(y, name="y"):
    """A one-dimensional array of labels, none of them missing."""
    y = as_numpy(y)
    shape = tuple(getattr(y, "shape", ()))
    if len(shape) > 1 and shape[1:] != (1,):
        raise ValueError(
            f"{name} has the shape {shape}, but holds labels, one for each sample; pass an array "
            f"of shape (n_samples,), of one-hot rows {name}.argmax(1)."
        )
    numpy_dtype = getattr(getattr(y, "dtype", None), "numpy_dtype", None)  # of pandas' Int64
    missing = numpy_dtype is not None and y.isna().any()
    if not missing:
        y = column_or_1d(y if numpy_dtype is None else np.asarray(y, numpy_dtype), warn=True)
    if missing or pd.isna(y).any():
        raise ValueError(f"{name} contains NaN or None; give every sample a label.")
    return y


def training_labels(y, rows):
    """The labels of a fit; None puts all samples in one class, 0."""
    y = np.zeros(len(rows), int) if y is None else as_labels(y)
    check_consistent_length(rows, y)
    check_classification_targets(y)
    return y


def check_same_classes(classes, known, method):
    """Whether the classes of a call are those of the training that it goes on from."""
    if np.array_equal(classes, known):
        return
    if method == "fit":
        raise ValueError(
            f"y has the classes {as_list(classes)}, but the fit before had {as_list(known)}, and "
            f"warm_start=True goes on from it; pass the same classes, or set warm_start=False."
        )
    raise ValueError(
        f"classes={as_list(classes)!r} are not those of the first call to partial_fit, "
        f"{as_list(known)}; leave classes out, or start anew with fit."
    )


def label_indices(y, classes, rows):
    """Where the labels of some rows, or one label for all of them, stand among the classes."""
    y = as_labels([y] * len(rows) if np.ndim(y) == 0 else y)
    check_consistent_length(rows, y)
    indices = pd.Index(classes).get_indexer(pd.Index(y))
    if (indices < 0).any():
        unknown = pd.Index(y).tolist()[int(np.argmin(indices))]
        raise ValueError(
            f"y has the unknown label {unknown!r}; the classes are {as_list(classes)}."
        )
    return indices.astype(np.int64)


def whole_labels(classes):
    """Classes as whole numbers, or, where they are others, their places."""
    whole = classes.dtype.kind in "biuf" and np.all(classes == np.rint(classes))
    return classes.astype(np.int64) if whole else np.arange(len(classes))


def as_list(classes):
    """Classes as an error shows them."""
    return pd.Index(classes).tolist()

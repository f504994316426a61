"""What the displays share."""

import numpy as np
from sklearn.utils.validation import check_is_fitted

# Colours that most colour-blind readers tell apart (Petroff, M. A. (2021). Accessible color
# sequences for data visualization. arXiv:2107.02270).
PALETTE = (
    *("#3f90da", "#ffa90e", "#bd1f01", "#94a4a2", "#832db6"),
    *("#a96b59", "#e76300", "#b9ac70", "#717581", "#92dadd"),
)


def fitted_autoencoder(estimator):
    """The fitted autoencoder itself, out of a search or the end of a pipeline."""
    return split_steps(estimator)[1]


def split_steps(estimator):
    """The fitted steps before an autoencoder, and itself, out of a search or a pipeline."""
    check_is_fitted(estimator)
    before, last = [], estimator
    while hasattr(last, "best_estimator_") or hasattr(last, "steps"):
        if hasattr(last, "best_estimator_"):
            last = last.best_estimator_
        else:
            before += [step for _, step in last.steps[:-1] if step not in (None, "passthrough")]
            last = last.steps[-1][1]
    if not hasattr(last, "input_shape_"):
        raise TypeError(
            f"{type(last).__name__} is not an autoencoder of this package; pass one, or a "
            f"Pipeline with one as its last step. Results of anything else can be drawn from "
            f"arrays: see from_predictions and the class itself."
        )
    return before, last


def apply_steps(steps, X):
    """`X` as the autoencoder behind these steps sees it."""
    for step in steps:
        X = step.transform(X)
    return X


def undo_steps(steps, X):
    """What the autoencoder behind these steps gave back, as what was given to them."""
    for step in reversed(steps):
        X = step.inverse_transform(X)
    return np.asarray(X)


def reconstruct(estimator, X):
    """Encode and decode, through all steps of a pipeline."""
    if hasattr(estimator, "reconstruct"):
        return estimator.reconstruct(X)
    return estimator.inverse_transform(estimator.transform(X))


def new_axes(figsize):
    from matplotlib import pyplot as plt

    return plt.subplots(figsize=figsize, layout="constrained")[1]


def class_names(classes, target_names):
    """A name for each of the sorted classes, for a legend."""
    names = classes if target_names is None else target_names
    if len(names) != len(classes):
        raise ValueError(
            f"target_names has {len(names)} names, but y has {len(classes)} classes; pass a "
            f"name for each, in the order of the sorted classes."
        )
    return [str(name) for name in names]


def line_style(defaults, line_kw):
    """The defaults, replaced by what is given, under any of matplotlib's names for it."""
    from matplotlib import cbook
    from matplotlib.lines import Line2D

    return defaults | cbook.normalize_kwargs(line_kw, Line2D)

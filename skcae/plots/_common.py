"""What the displays share."""

from sklearn.utils.validation import check_is_fitted


def fitted_autoencoder(estimator):
    """The fitted autoencoder itself, out of a search or the end of a pipeline."""
    check_is_fitted(estimator)
    last = estimator
    while hasattr(last, "best_estimator_") or hasattr(last, "steps"):
        last = last.best_estimator_ if hasattr(last, "best_estimator_") else last.steps[-1][1]
    if not hasattr(last, "input_shape_"):
        raise TypeError(
            f"{type(last).__name__} is not an autoencoder of this package; pass one, or a "
            f"Pipeline with one as its last step. Results of anything else can be drawn from "
            f"arrays: see from_predictions and the class itself."
        )
    return last


def new_axes(figsize):
    from matplotlib import pyplot as plt

    return plt.subplots(figsize=figsize, layout="constrained")[1]


def line_style(defaults, line_kw):
    """The defaults, replaced by what is given, under any of matplotlib's names for it."""
    from matplotlib import cbook
    from matplotlib.lines import Line2D

    return defaults | cbook.normalize_kwargs(line_kw, Line2D)

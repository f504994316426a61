"""Warnings that show the line of the user which led to them."""

import sys
import warnings

# What may stand between that line and ours: pipelines and searches call estimators too.
BETWEEN = {"skcae", "sklearn", "skorch", "joblib", "torch"}


def warn(message, category=UserWarning):
    """Warn of what the innermost line outside these packages asked for."""
    frame, level = sys._getframe(1), 2
    while frame.f_back is not None and _package(frame) in BETWEEN:
        frame, level = frame.f_back, level + 1
    warnings.warn(message, category, stacklevel=level)


def _package(frame):
    return frame.f_globals.get("__name__", "").partition(".")[0]

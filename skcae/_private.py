"""Private names of other libraries, and what breaks where one of them moves.

Nothing else in the package imports such names. Our classes define or call a few that their bases
look up. Of scikit-learn: `_parameter_constraints`, `_validate_params` and `_get_param_names`,
without which parameters are not checked; `_n_features_out`, without which codes have no names;
`_doc_link_module`, `_doc_link_template` and, from 1.7 on, `_html_repr`, without which notebooks
show neither a link to the documentation nor the network. Of skorch: `_default_callbacks`, without
which it prints; `_get_module`, without which `save_params` writes no units (a test tells).
"""

import ctypes
import mmap
from functools import cache
from pathlib import Path

import numpy as np
import torch
from sklearn import base, utils
from sklearn.utils import _optional_dependencies, _param_validation, validation

# scikit-learn. Validation of the parameters before `fit` and `partial_fit`: without it
# `check_estimator` fails, and a wrong parameter is told late or never.
fit_context = base._fit_context
Interval, RealNotInt = _param_validation.Interval, _param_validation.RealNotInt


class StrOptions(_param_validation.StrOptions):
    """Names that an error lists in their own order; if `options` moves, in one at random."""

    def __init__(self, names):
        super().__init__(set(names))
        self.options = list(names)


# Rows of anything that holds a target for each sample, data frames and lists among them.
safe_indexing = utils._safe_indexing
# Weights of `score`: their length, and that none is missing or all are zero.
check_sample_weight = validation._check_sample_weight

# Attributes of an estimator: who watches its fits, and what it asks metadata routing for. If they
# move, files of estimators that have them cannot be written, and a `ValueError` says so.
OBSERVERS, REQUESTS = "_skl_callbacks", "_metadata_request"

# The sentence that displays raise where matplotlib is missing.
check_matplotlib_support = _optional_dependencies.check_matplotlib_support

try:  # from scikit-learn 1.9 on; before, estimators have no `set_callbacks`
    from sklearn.callback import CallbackSupportMixin, with_callbacks
except ImportError:

    class CallbackSupportMixin:
        """Stands in where scikit-learn has no callbacks."""

    def with_callbacks(method):
        return method


def callback_context(estimator, n_epochs):
    """The context in which scikit-learn's callbacks run; None where there are none.

    If it moves, `set_callbacks` has no effect.
    """
    make = getattr(estimator, "_init_callback_context", None)
    return None if make is None else make(max_subtasks=n_epochs)


def has_fast_bfloat16():
    """Whether the processor multiplies in bfloat16, as far as torch tells.

    If the probes move, ``precision="auto"`` is float32 on processors.
    """
    probes = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(getattr(torch.cpu, probe, bool)() for probe in probes)


@cache
def _mkl():
    """The library of torch that has MKL built in; None where there is none."""
    for path in Path(torch.__file__).with_name("lib").glob("*torch_cpu.*"):
        try:
            library = ctypes.CDLL(str(path))  # which is loaded already
            return library if hasattr(library, "MKL_Set_Num_Threads_Local") else None
        except OSError:  # of a library to link with
            continue
    return None


def mkl_set_num_threads_local(n):
    """Have torch's MKL use ``n`` threads where the calling thread calls it; the number before.

    0 is as many as OpenMP. If it moves, small fits are slower after ``torch.set_num_threads``.
    """
    return 0 if _mkl() is None else _mkl().MKL_Set_Num_Threads_Local(n)


def forget_pages(array):
    """Give back the pages of a memory map, which the system would count as ours.

    If NumPy's attribute moves, reading a memory map seems to take as much memory as it has.
    """
    pages = getattr(array, "_mmap", None)
    readable = isinstance(array, np.memmap) and array.mode in ("r", "r+")
    if readable and pages is not None and hasattr(mmap, "MADV_DONTNEED"):
        pages.madvise(mmap.MADV_DONTNEED)

"""Ctrl-C at random moments of fits and scores: process and estimator are as they were before.

    python benchmarks/interrupts.py --times 300

Prints how many calls were interrupted, and exits with the number of those that left a trace.
"""

import argparse
import copy
import signal
import sys
import time
import warnings

import numpy as np
import torch
from sklearn.datasets import load_digits
from threadpoolctl import threadpool_info

from skcae import ConditionalConvVAE, ConvAutoencoder, ConvVAE, DenoisingConvAutoencoder

ESTIMATORS = ConvAutoencoder, DenoisingConvAutoencoder, ConvVAE, ConditionalConvVAE
METHODS = "fit", "partial_fit", "score_samples", "transform"
digits = load_digits()
X, y = digits.images[:150], digits.target[:150] % 2


def settings():
    """What belongs to the user and not to us."""
    return {
        "torch's threads": torch.get_num_threads(),
        "threads": {pool["filepath"]: pool["num_threads"] for pool in threadpool_info()},
        "filters": list(warnings.filters),
        "torch's generator": torch.get_rng_state().tolist(),
        "NumPy's generator": str(np.random.get_state()),  # noqa: NPY002
        "gradients": (torch.is_grad_enabled(), torch.is_inference_mode_enabled()),
        "type": torch.get_default_dtype(),
        "handler": signal.getsignal(signal.SIGINT),
    }


def call(estimator, method):
    conditional = isinstance(estimator, ConditionalConvVAE)
    labels = (y,) if conditional and "fit" in method else ()
    return getattr(estimator, method)(X, *labels)


def interrupt(estimator, method, after):
    """Whether a signal after so many seconds came before the end of the call."""
    signal.setitimer(signal.ITIMER_REAL, after)
    try:
        call(estimator, method)
    except KeyboardInterrupt:
        return True
    except RuntimeError as error:  # of a lock of Python's own, which it was about to take
        if isinstance(error.__context__, KeyboardInterrupt):
            return True
        raise
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    return False


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--times", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    times, rng = parser.parse_args().times, np.random.default_rng(parser.parse_args().seed)
    warnings.simplefilter("ignore")
    signal.signal(signal.SIGALRM, signal.default_int_handler)
    fitted = [
        cls(4, hidden_channels=(4, 8), max_epochs=3, random_state=0).fit(X, y)
        for cls in ESTIMATORS
    ]
    seconds = {}
    for estimator in fitted:
        for method in METHODS:
            started = time.perf_counter()
            call(estimator, method)
            seconds[type(estimator), method] = time.perf_counter() - started
    codes, before = [estimator.transform(X) for estimator in fitted], settings()
    n_calls, done, traces = 0, 0, 0
    while done < times:
        i, method = rng.integers(4), rng.choice(METHODS)
        estimator, whole = fitted[i], copy.deepcopy(fitted[i])
        if interrupt(estimator, method, rng.uniform(0, 1) * seconds[type(estimator), method]):
            done += 1
            after = settings()
            changed = [name for name in before if before[name] != after[name]]
            now = estimator.transform(X)
            if not np.array_equal(now, codes[i]):  # then the call was over but for its return
                call(whole, method)
                changed += [] if np.array_equal(now, whole.transform(X)) else ["codes"]
            if changed:
                traces, before = traces + 1, after
                print(f"{type(estimator).__name__}.{method}: {changed}", flush=True)
        codes[i], n_calls = estimator.transform(X), n_calls + 1
    print(f"{done} of {n_calls} calls interrupted, {traces} left a trace")
    sys.exit(min(traces, 100))


if __name__ == "__main__":
    main()

"""The net and what trains it: torch and skorch on one side, arrays of rows on the other."""


def __getattr__(name):
    if name in ("Net", "_rebuild"):  # what pickles of skcae 0.1 ask for
        raise ValueError(
            "this pickle was written by skcae 0.1, whose nets were laid out otherwise; load it "
            "there, or fit the estimator anew."
        )
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

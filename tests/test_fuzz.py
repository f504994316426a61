"""The first cases of the fuzz in `benchmarks`."""

import importlib.util
from pathlib import Path

import pytest

PATH = Path(__file__).parents[1] / "benchmarks" / "fuzz.py"
spec = importlib.util.spec_from_file_location("fuzz", PATH)
fuzz = importlib.util.module_from_spec(spec)
spec.loader.exec_module(fuzz)


@pytest.mark.parametrize("case", range(15))
def test_random_estimators_work_or_are_refused(case):
    assert fuzz.run_case(2026, case) in (None, "refused")

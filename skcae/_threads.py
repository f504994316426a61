"""One thread for work that more would only slow down: in this thread alone."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import torch
from threadpoolctl import ThreadpoolController

from ._private import mkl_set_num_threads_local


@contextmanager
def one_thread() -> Iterator[None]:
    """Have torch compute in the calling thread, until the end of the context.

    The numbers of threads of OpenMP and of MKL that are set here belong to the calling thread.
    ``torch.set_num_threads`` sets them too, but with them that of all threads yet to come.
    """
    torch.get_num_threads()  # torch sets the numbers of a new thread when first asked
    pools, of_mkl = _openmp(), 0
    numbers = [pool.num_threads for pool in pools]

    def restore() -> None:
        for pool, number in zip(pools, numbers, strict=True):
            pool.set_num_threads(number)
        mkl_set_num_threads_local(of_mkl)

    try:
        of_mkl = mkl_set_num_threads_local(1)
        for pool in pools:
            pool.set_num_threads(1)
        yield
    finally:
        try:
            restore()
        except KeyboardInterrupt:  # in the midst of it
            restore()
            raise


@cache
def _openmp() -> list[Any]:
    """The OpenMP libraries of the process: torch brings one, scikit-learn another."""
    return ThreadpoolController().select(user_api="openmp").lib_controllers

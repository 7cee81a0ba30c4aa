"""Where runs are run: in this process, in processes on this machine's cores, or on a cluster."""

from __future__ import annotations

import functools
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing.connection import wait
from types import FrameType
from typing import Any

from threadpoolctl import ThreadpoolController

__all__ = [
    "ClusterExecutor",
    "InProcess",
    "SpawnedPool",
    "cluster",
    "cores",
    "executor_for",
    "one_blas_thread",
    "only_first_interrupt",
]


def cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class InProcess(Executor):
    """An executor that runs what it is given at once, in the calling thread.

    Examples
    --------
    >>> InProcess().submit(pow, 2, 10).result()
    1024
    """

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Call `fn`; returns a future that is done.  An exception is kept, but not an interrupt."""
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future


class SpawnedPool(Executor):
    """Processes on this machine, started anew (not forked) and replaced if one of them dies.

    A forked process would inherit threads' locks without the threads: OpenMP, which runs compiled
    loops on all cores, does not survive that.  Where a process of a `ProcessPoolExecutor` dies, the
    whole pool is lost; here, the next `submit` starts another.

    Parameters
    ----------
    workers : int
        How many processes; they start with the first `submit`.
    """

    def __init__(self, workers: int) -> None:
        self.workers = workers
        self._pool: ProcessPoolExecutor | None = None

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Have a process call `fn`, which a module of its own must define."""
        with _interrupts_held():  # a process that starts inherits this, until it is ready for one
            if self._pool is not None:
                try:
                    return self._pool.submit(fn, *args, **kwargs)
                except BrokenProcessPool:
                    self._pool.shutdown(wait=False)
            self._pool = ProcessPoolExecutor(
                self.workers, multiprocessing.get_context("spawn"), initializer=_begin
            )
            return self._pool.submit(fn, *args, **kwargs)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End the processes, once what they are at is done."""
        if self._pool is not None:
            self._pool.shutdown(wait, cancel_futures=cancel_futures)

    def stop(self) -> None:
        """End the processes at once, whatever they are at; the next `submit` starts others."""
        pool, self._pool = self._pool, None
        if pool is None:
            return
        # Before Python 3.14 a pool has no public way to this.  Its futures are left to its own
        # thread: one that is cancelled from here while a process dies would end that thread.
        processes = list((pool._processes or {}).values())
        queue = getattr(pool, "_call_queue", None)
        pool.shutdown(wait=False, cancel_futures=True)
        for process in processes:
            process.kill()
        for process in processes:
            process.join(timeout=5)
        if queue is not None:
            queue.cancel_join_thread()  # what it holds, nobody will read


class ClusterExecutor(Executor):
    """Dask's executor, which also tells when the scheduler is lost: its futures never end then.

    Parameters
    ----------
    client : distributed.Client
        Connected.
    """

    def __init__(self, client: Any) -> None:
        self._client, self._executor = client, client.get_executor()

    @property
    def lost(self) -> bool:
        """Whether the connection is gone for good."""
        return self._client.status in ("closed", "closing")

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Have a worker call `fn`."""
        future: Future[Any] = self._executor.submit(fn, *args, **kwargs)
        return future


def _begin() -> None:
    """Make a process that has just started a worker of a sweep."""
    if signal.getsignal(signal.SIGINT) != signal.SIG_IGN:  # as in the background of a script
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C ends it at once, and in silence
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """Exit when the parent is gone, even if it was killed and could not say so."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


@contextmanager
def _interrupts_held() -> Iterator[None]:
    """Hold Ctrl-C back until the end of the block, here and in processes started in it."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def executor_for(
    workers: int | None = None, address: str | None = None
) -> Iterator[tuple[Executor | None, int]]:
    """Open what the sweeps of a command share: gives an executor and its number of workers.

    Parameters
    ----------
    workers : int, optional
        How many processes of this machine; by default one for each core.  With 1 the executor is
        None: runs stay in this process.
    address : str, optional
        Of a Dask scheduler instead; see `cluster`.
    """
    if address is not None:
        with cluster(address) as (executor, threads):
            yield executor, threads
        return
    workers = workers or cores()
    if workers == 1:
        yield None, 1
        return
    pool = SpawnedPool(workers)
    try:
        yield pool, workers
    except BaseException:
        pool.stop()
        raise
    pool.shutdown()


@contextmanager
def only_first_interrupt() -> Iterator[None]:
    """Let the first Ctrl-C in the block raise KeyboardInterrupt, and ignore those that follow.

    A second one would interrupt what the first one has started: the keeping of results, and the
    ending of processes.
    """
    usual = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if not usual or threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        raise KeyboardInterrupt

    signal.signal(signal.SIGINT, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@functools.cache
def _thread_pools() -> ThreadpoolController:
    return ThreadpoolController()


def one_blas_thread() -> Any:
    """Return a context in which BLAS uses one thread.

    The other cores have runs of their own, and a sum has the same order everywhere.
    """
    return _thread_pools().limit(limits=1, user_api="blas")


@contextmanager
def cluster(address: str, timeout: float = 10.0) -> Iterator[tuple[Executor, int]]:
    """Connect to a Dask scheduler; gives an executor, and how many threads its workers have.

    Parameters
    ----------
    address : str
        As the scheduler prints it: "tcp://10.0.0.1:8786".
    timeout : float
        Seconds to wait for an answer.

    Raises
    ------
    ImportError
        If Dask is not installed.
    OSError
        If there is no scheduler at that address, or if it has no workers.
    """
    try:
        from distributed import Client
    except ImportError as error:
        raise ImportError(
            "a cluster needs Dask, which is not installed; pip install 'minigrad[cluster]'"
        ) from error
    try:
        client = Client(address, timeout=timeout)
    except (OSError, ValueError) as error:
        raise OSError(f"no Dask scheduler answers at {address} ({error})") from error
    try:
        threads = sum(client.nthreads().values())
        if not threads:
            raise OSError(
                f"the Dask scheduler at {address} has no workers; start some with "
                f"'dask worker {address}' where minigrad is installed"
            )
        yield ClusterExecutor(client), threads
    finally:
        client.close(timeout=2)

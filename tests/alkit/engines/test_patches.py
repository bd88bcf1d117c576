"""alkit.engines.patches: what alkit changes inside pebble, Dask and multiprocessing is still there."""

import inspect
import multiprocessing
import time
from concurrent.futures import Future

import pebble
import pebble.pool.process
from distributed.utils import get_mp_context

from alkit.engines import patches
from alkit.engines.processes import FreshContext


def test_pebble_reads_its_clock_from_a_module_named_time() -> None:
    """Its timeouts come from this name, and from no other clock."""
    source = inspect.getsource(pebble.pool.process)
    assert "time.time()" in source
    assert "monotonic" not in source
    patches.time_pebble_by_the_monotonic_clock()
    module = pebble.pool.process.time  # type: ignore[attr-defined]
    assert abs(module.time() - time.monotonic()) < 60
    module.sleep(0)  # the rest is the module's own


def test_pebble_says_on_the_future_that_a_worker_has_taken_the_task() -> None:
    with pebble.ProcessPool(1, context=multiprocessing.get_context("spawn")) as pool:
        taken: list[str] = []
        future = pool.schedule(abs, args=(-2,))
        patches.call_when_taken(future, lambda: taken.append("taken"))
        assert future.result() == 2
        assert taken == ["taken"]


def test_the_call_comes_before_the_library_hears_of_it() -> None:
    order: list[str] = []
    future: Future[None] = Future()
    future.set_running_or_notify_cancel = lambda: bool(order.append("library"))  # type: ignore[method-assign]
    patches.call_when_taken(future, lambda: order.append("ours"))
    future.set_running_or_notify_cancel()
    assert order == ["ours", "library"]


def test_a_daemon_may_have_children() -> None:
    with pebble.ProcessPool(1, context=multiprocessing.get_context("spawn")) as pool:
        assert pool.schedule(_child).result() == 0


def _child() -> int | None:
    multiprocessing.current_process()._config["daemon"] = True  # type: ignore[attr-defined]
    patches.allow_children()
    child = multiprocessing.get_context("spawn").Process(target=time.sleep, args=(0,))
    child.start()
    child.join()
    return child.exitcode


def test_dask_finds_a_start_method_by_its_name() -> None:
    import dask

    method = FreshContext()
    patches.add_start_method("alkit-test", method)
    with dask.config.set({"distributed.worker.multiprocessing-method": "alkit-test"}):
        assert get_mp_context() is method

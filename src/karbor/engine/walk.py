"""Walks a graph of steps: each step starts when all before it have ended, as many at once as there are threads."""

from __future__ import annotations

import queue
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor

from karbor.model.errors import KarborError

MAX_THREADS = 512
"""Hooks that run at once; most of them wait for the cloud, and a waiting thread costs some 16 KiB."""

CIRCLE = "it waits for what other resources become, and they wait for what it becomes"

Job = Callable[[], None]


class NotYet(Exception):
    """A job cannot go on before another step has ended."""

    def __init__(self, step: int) -> None:
        super().__init__(f"step {step} has not ended")
        self.step = step


class Hopeless(Exception):
    """A job waits in vain: `step` was not done, so this one is not to be done either."""

    def __init__(self, step: int) -> None:
        super().__init__(f"step {step} was not done")
        self.step = step


class Walk:
    """One pass over steps `0..len(before)-1` with edges `before` and `after`.

    `start(step)` is called on the walking thread when a step's turn has come. It answers a job to be run in a
    thread, or None when the step has ended already. `ended(step, error)` is called on the walking thread, once a step,
    before any step after it is started. What a job raises is handed to `ended`; a BaseException that is no
    Exception (the process is being stopped, the claim was lost) ends the walk at once. A step whose job raised NotYet
    has not ended: it takes no thread until its turn comes again. `over` holds the steps that have ended.
    """

    def __init__(
        self,
        before: Sequence[Sequence[int]],
        after: Sequence[Sequence[int]],
        start: Callable[[int], Job | None],
        ended: Callable[[int, BaseException | None], None],
        over: set[int] | None = None,
    ) -> None:
        self._after = after
        self._start = start
        self._ended = ended
        self._over: set[int] = set() if over is None else over
        self._aside: dict[int, list[int]] = {}  # by the step that they wait for
        self._missing = [len(steps) for steps in before]
        self._done: queue.SimpleQueue[tuple[int, BaseException | None]] = queue.SimpleQueue()
        self._running = 0

    def go(self) -> None:
        """Return when every step has ended."""
        ready = deque(step for step, count in enumerate(self._missing) if count == 0)
        threads = ThreadPoolExecutor(MAX_THREADS, thread_name_prefix="hook")
        try:
            while ready or self._running or self._aside:
                while ready:
                    step = ready.popleft()
                    job = self._start(step)
                    if job is None:
                        ready.extend(self._end(step, None))
                    else:
                        self._running += 1
                        threads.submit(self._run, step, job)
                if self._running:
                    ready.extend(self._collect())
                elif self._aside:
                    ready.extend(self._break_circle())
        finally:
            # After an error those that still wait for a cloud notice it at their next call.
            threads.shutdown(wait=True, cancel_futures=True)

    def _run(self, step: int, job: Job) -> None:
        try:
            job()
        except BaseException as error:  # noqa: BLE001 - handed to the walking thread, which tells what it means
            self._done.put((step, error))
        else:
            self._done.put((step, None))

    def _collect(self) -> Iterable[int]:
        """Wait for one running step, take all that have ended by then."""
        found = [self._done.get()]
        while not self._done.empty():
            found.append(self._done.get_nowait())
        self._running -= len(found)
        for step, error in found:
            if error is not None and not isinstance(error, Exception):
                raise error
            if not isinstance(error, NotYet):
                yield from self._end(step, error)
            elif error.step in self._over:  # it has ended since
                yield step
            else:
                self._aside.setdefault(error.step, []).append(step)

    def _break_circle(self) -> Iterable[int]:
        """Nothing runs and some wait: for one another. The first of them fails, so that all end."""
        steps = self._aside.pop(next(iter(self._aside)))
        for step in steps:
            yield from self._end(step, KarborError(CIRCLE))

    def _end(self, step: int, error: BaseException | None) -> Iterable[int]:
        self._ended(step, error)
        self._over.add(step)
        yield from self._aside.pop(step, ())
        for later in self._after[step]:
            self._missing[later] -= 1
            if self._missing[later] == 0:
                yield later

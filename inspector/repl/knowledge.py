"""What the prompt knows of the target: read behind the user's back, so that no key press waits for it."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from inspector.capture.inspection import Inspection
    from inspector.shell.session import Session


class Knowledge:
    """Facts by name, each read once a look by a thread, when first asked for and the target is not otherwise in use.

    Args:
        session: whose look they are of.
        readers: how each fact is read; None, or any error, is what cannot be read.
        lasting: the facts that are of no look, and stay.
        changed: called, in that thread, whenever something new is known.
    """

    def __init__(
        self,
        session: Session,
        readers: Mapping[str, Callable[[], Any]],
        lasting: Collection[str] = (),
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        self._changed = changed
        self._lasting = lasting
        self._session = session
        self._readers = readers
        self._known: dict[str, Any] = {}
        self._asked: set[str] = set()
        self._inspection: Inspection | None = None
        self._jobs: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._free = threading.Event()
        self._free.set()
        self._closed = False
        self._thread = threading.Thread(target=self._work, name="vtdpi knowledge", daemon=True)
        self._thread.start()

    def get(self, name: str) -> Any | None:
        """A fact; None if it is not known, or not yet. Never waits."""
        if name not in self._asked and not self._closed:
            self._asked.add(name)
            self._jobs.put(name)
        return self._known.get(name)

    def is_reading(self, name: str = "") -> bool:
        """Whether a fact, or any if none is named, will be known soon."""
        return any(asked not in self._known for asked in tuple(self._asked) if name in ("", asked))

    @contextmanager
    def held(self) -> Iterator[None]:
        """The target is in use: nothing is read meanwhile. Afterwards, what is of the past is forgotten."""
        self._free.clear()
        try:
            yield
            self._forget()
        finally:
            self._free.set()

    def close(self) -> None:
        """Read nothing more. Waits for what is being read."""
        self._closed = True
        self._free.set()
        self._jobs.put(None)
        self._thread.join()

    def _forget(self) -> None:
        if self._session.opened is None:
            return
        with self._session.lock:
            inspection = self._session.inspection
            stays = set(self._known) if inspection is self._inspection else set(self._lasting)
            self._inspection = inspection
            # What could not be read while the machine ran can perhaps be read now.
            self._known = {name: v for name, v in self._known.items() if name in stays and v is not None}
            self._asked &= set(self._known)

    def _work(self) -> None:
        while (name := self._jobs.get()) is not None:
            self._free.wait()
            if self._closed:
                return
            with self._session.lock:
                value = self._read(name) if name in self._asked else None
                self._known[name] = value
            self._changed()

    def _read(self, name: str) -> Any:
        try:
            return self._readers[name]()
        except Exception:
            # Whatever is wrong is said when a command meets it; it must not end the prompt.
            return None

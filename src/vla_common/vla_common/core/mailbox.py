"""A one-place hand-over between threads where the latest item wins."""

from __future__ import annotations

import threading
from typing import Generic, TypeVar

T = TypeVar("T")


class Mailbox(Generic[T]):
    """Holds the newest item only; counts those replaced before anyone took them."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._item: T | None = None
        self._closed = False
        self.received = 0
        self.replaced = 0

    def put(self, item: T) -> None:
        """Store ``item``, replacing one that nobody took."""
        with self._condition:
            if self._item is not None:
                self.replaced += 1
            self.received += 1
            self._item = item
            self._condition.notify()

    def take(self, timeout: float = 0.0) -> T | None:
        """Return and remove the item, waiting up to ``timeout`` [s]; None when there is none."""
        with self._condition:
            if self._item is None and timeout > 0.0 and not self._closed:
                self._condition.wait(timeout)
            item, self._item = self._item, None
            return item

    def close(self) -> None:
        """Wake up whoever waits; later waits return at once."""
        with self._condition:
            self._closed = True
            self._condition.notify_all()

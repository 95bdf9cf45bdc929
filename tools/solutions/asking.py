"""Asks a solution's addresses within the time and the bytes of one call."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from tools.fetch import Fetched, Fetcher, FetchFailed, FetchRefused, TimedOut, TooLarge
from tools.solutions.base import SolutionAway, SolutionFault

LEAST_S = 0.001


class Asking:
    """What one call may still take.

    Args:
        timeout_s: for all fetches of the call together.
        on_wait: see `tools.fetch.Fetcher.fetch`.
    """

    def __init__(self, fetcher: Fetcher, timeout_s: float, on_wait: Callable[[], None]) -> None:
        self.on_wait = on_wait
        self._fetcher = fetcher
        self._timeout_s = timeout_s
        self._ends = time.monotonic() + timeout_s

    def check(self) -> None:
        """Let the caller speak, and look at the clock.

        Raises:
            SolutionAway: the time is up.
        """
        self.on_wait()
        if time.monotonic() >= self._ends:
            raise SolutionAway(f"it took longer than {self._timeout_s:g} s")

    def fetch(
        self, method: str, url: str, *, headers: Mapping[str, str] | None = None, content: bytes = b"", max_bytes: int
    ) -> Fetched:
        """Fetch, and say what went wrong in the words of solutions.

        Raises:
            SolutionAway: nobody answers, or not in time.
            SolutionFault: the answer is too large, or the address is one that may not be reached.
        """
        left = max(LEAST_S, self._ends - time.monotonic())
        try:
            return self._fetcher.fetch(
                method,
                url,
                headers=headers,
                content=content,
                max_bytes=max_bytes,
                timeout_s=left,
                on_wait=self.on_wait,
            )
        except (FetchRefused, TooLarge) as error:
            raise SolutionFault(str(error)) from error
        except TimedOut as error:
            raise SolutionAway(f"it took longer than {self._timeout_s:g} s") from error
        except FetchFailed as error:
            raise SolutionAway(str(error)) from error

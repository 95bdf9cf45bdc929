"""What can go wrong with a fetch.

    FetchError
    ├── FetchRefused   we did not ask: the address is not one that the studio may reach
    ├── FetchFailed    nobody answered, or not in HTTP
    ├── TimedOut       the whole of it took longer than it may
    └── TooLarge       the answer is longer than it may be, unpacked

No message holds a header, a body or the query of an address: secrets can be there.
"""

from __future__ import annotations


class FetchError(Exception):
    """A fetch did not end with an answer; the message is for people."""


class FetchRefused(FetchError):
    """The address, or one that it redirects to, may not be reached; asking again does not help."""


class FetchFailed(FetchError):
    """The connection was refused or broke, the name is not known, or the answer is not HTTP."""


class TimedOut(FetchError):
    """It took longer than it may, from the name to the last byte."""


class TooLarge(FetchError):
    """The answer has more bytes than it may, unpacked."""

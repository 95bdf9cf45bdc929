"""The one function of the studio that fetches addresses."""

from __future__ import annotations

from tools.addresses import Address as Address
from tools.addresses import Origin as Origin
from tools.addresses import checked_addresses as checked_addresses
from tools.fetch_errors import FetchError as FetchError
from tools.fetch_errors import FetchFailed as FetchFailed
from tools.fetch_errors import FetchRefused as FetchRefused
from tools.fetch_errors import TimedOut as TimedOut
from tools.fetch_errors import TooLarge as TooLarge

"""Unpacks a body piece by piece, so that a small one that grows without end is stopped on its way."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

from tools.fetch_errors import FetchFailed

PIECE_BYTES = 65_536
_GZIP = 16 + zlib.MAX_WBITS


class Unpacker:
    """Unpacks gzip and deflate, which some servers send unasked, and passes on what is not packed.

    Args:
        encoding: the value of Content-Encoding.

    Raises:
        FetchFailed: the encoding is another.
    """

    def __init__(self, encoding: str) -> None:
        self._encoding = encoding.strip().lower()
        if self._encoding not in {"", "identity", "gzip", "x-gzip", "deflate"}:
            raise FetchFailed(f"the answer is packed as {self._encoding[:40]!r}, which was not asked for")
        self._plain = self._encoding in {"", "identity"}
        self._stream: zlib._Decompress | None = None

    def pieces(self, chunk: bytes) -> Iterator[bytes]:
        """Give what a chunk unpacks to, in pieces of at most `PIECE_BYTES` (an unpacked chunk as it is).

        Raises:
            FetchFailed: it is not packed as was said.
        """
        if self._plain:
            yield chunk
            return
        full = False
        while chunk or full:
            stream = self._stream = self._stream or self._begin(chunk)
            try:
                piece = stream.decompress(chunk, PIECE_BYTES)
            except zlib.error as error:
                raise FetchFailed("the answer is not packed as it says") from error
            yield piece
            chunk, full = stream.unconsumed_tail, len(piece) == PIECE_BYTES
            if stream.eof:
                chunk, full, self._stream = self._rest(stream), False, None

    def finish(self) -> None:
        """Say that all has come.

        Raises:
            FetchFailed: the end is missing.
        """
        if self._stream is not None:
            raise FetchFailed("the answer breaks off in the middle of what is packed")

    def _begin(self, chunk: bytes) -> zlib._Decompress:
        if self._encoding != "deflate":
            return zlib.decompressobj(_GZIP)
        # The standard means zlib's format, whose first byte ends in 8; some servers leave its frame out.
        return zlib.decompressobj(zlib.MAX_WBITS if chunk[0] & 0x0F == 8 else -zlib.MAX_WBITS)

    def _rest(self, stream: zlib._Decompress) -> bytes:
        # A gzip body can be several, one after the other.
        return stream.unused_data if self._encoding != "deflate" else b""

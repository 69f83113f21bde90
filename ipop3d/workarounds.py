"""What odd clients want of a message, by settings; Dovecot calls these outlook-no-nuls and oe-ns-eoh."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mailcore.settings import Settings


def fit(settings: Settings, chunks: Iterable[bytes]) -> Iterable[bytes]:
    """A message in chunks as the settings want it."""
    if settings.pop3_end_of_header:
        chunks = _ended(chunks)
    if settings.pop3_no_nuls:
        chunks = (chunk.replace(b"\0", b"\x80") for chunk in chunks)
    return chunks


def _ended(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """With an empty line behind the header: Outlook Express and Netscape look for one, whatever comes."""
    ended, tail = False, b"\r\n"  # an empty line may be the first
    for chunk in chunks:
        ended = ended or b"\r\n\r\n" in tail + chunk
        tail = (tail + chunk)[-3:]
        yield chunk
    if not ended:
        yield b"\r\n" if tail.endswith(b"\r\n") else b"\r\n\r\n"

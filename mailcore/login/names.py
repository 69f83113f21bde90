"""Host names, looked up where that can do no harm: by a child that is nobody, within a time (nobody.py).

DNS answers are bytes of strangers, and the C library's resolver may wait for minutes; the
monitor is root and has no minutes.
"""

from __future__ import annotations

from mailcore.login import nobody, wrappers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mailcore.settings import Settings

NAME_OCTETS = 255  # RFC 1035 §3.1


def of(address: str, settings: Settings) -> str:
    """The confirmed name of an address, or wrappers.UNKNOWN or PARANOID."""
    said = nobody.ask(
        settings, lambda: wrappers.confirmed_name(address).encode("latin-1", "replace"), NAME_OCTETS + 1,
        settings.name_seconds,
    )  # fmt: skip
    name = said.decode("latin-1")
    return name if is_name(name) else wrappers.UNKNOWN


def is_name(name: str) -> bool:
    """What may be in a host name (RFC 1123 §2.1), and `_`."""
    plain = name.replace("-", "").replace(".", "").replace("_", "")
    return 0 < len(name) <= NAME_OCTETS and plain.isascii() and plain.isalnum()

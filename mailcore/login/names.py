"""Host names, looked up where that can do no harm: by a child that is nobody, within a time.

DNS answers are bytes of strangers, and the C library's resolver may wait for minutes; the
monitor is root and has no minutes.  So a child is forked, becomes gatekeeper_user, and says the name on a
pipe.
"""

from __future__ import annotations

import os
import select

from mailcore.login import wrappers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

    from mailcore.settings import Settings

NAME_OCTETS = 255  # RFC 1035 §3.1


def of(address: str, settings: Settings) -> str:
    """The confirmed name of an address, or wrappers.UNKNOWN or PARANOID."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        _tell(address, settings, writer)
    os.close(writer)
    try:
        poll = select.poll()
        poll.register(reader, select.POLLIN)
        said = os.read(reader, NAME_OCTETS + 1) if poll.poll(int(settings.name_seconds * 1000)) else b""
    finally:
        os.close(reader)
        os.kill(pid, 9)
        os.waitpid(pid, 0)
    name = said.decode("latin-1")
    return name if is_name(name) else wrappers.UNKNOWN


def _keep_only(fd: int) -> None:
    """The resolver has nothing to do with the client's connection."""
    null = os.open("/dev/null", os.O_RDWR)
    for number in range(3):
        if number != fd:
            os.dup2(null, number)
    os.closerange(3, fd)
    os.closerange(fd + 1, 4096)


def is_name(name: str) -> bool:
    """What may be in a host name (RFC 1123 §2.1), and `_`."""
    plain = name.replace("-", "").replace(".", "").replace("_", "")
    return 0 < len(name) <= NAME_OCTETS and plain.isascii() and plain.isalnum()


def _tell(address: str, settings: Settings, writer: int) -> NoReturn:
    status = 1
    try:
        _keep_only(writer)
        if os.geteuid() == 0:
            import pwd

            nobody = pwd.getpwnam(settings.gatekeeper_user)
            os.setgroups([])
            os.setresgid(*(nobody.pw_gid,) * 3)
            os.setresuid(*(nobody.pw_uid,) * 3)
        os.write(writer, wrappers.confirmed_name(address).encode("latin-1", "replace"))
        status = 0
    finally:
        os._exit(status)

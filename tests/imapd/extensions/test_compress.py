"""COMPRESS: never before the login, and over a real pipe."""

from __future__ import annotations

import os
import subprocess
import zlib

from tests.imapd.conversation import stranger
from tests.playground import Ground, program


def test_not_before_the_login() -> None:
    client = stranger()
    assert b"COMPRESS" not in client.greeting
    assert client.say(b"a COMPRESS DEFLATE\r\n").startswith(b"a BAD Unknown command")


def test_over_a_pipe(ground: Ground) -> None:
    """Each answer is read before the next command is said."""
    ground.hand_over()
    words = [word for name, value in ground.options().items() for word in ("-o", f"{name}={value}")]
    server = subprocess.Popen(
        program("imapd", *words), stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ground.path,
        env={"HOME": str(ground.home)}, bufsize=0, **ground.identity(),  # type: ignore[call-overload]
    )  # fmt: skip
    assert server.stdin and server.stdout
    out, into = zlib.compressobj(6, zlib.DEFLATED, -15), zlib.decompressobj(-15)

    def read(until: bytes, inflate: bool) -> bytes:
        said = b""
        while until not in said:
            data = os.read(server.stdout.fileno(), 65536)
            assert data, said
            said += into.decompress(data) if inflate else data
        return said

    read(b"PREAUTH", False)
    server.stdin.write(b"a COMPRESS DEFLATE\r\n")
    assert read(b"a OK", False).endswith(b"a OK COMPRESS completed\r\n")
    for command, answer in ((b"b NOOP", b"b OK"), (b"c CREATE box", b"c OK"), (b"d LOGOUT", b"d OK")):
        server.stdin.write(out.compress(command + b"\r\n") + out.flush(zlib.Z_SYNC_FLUSH))
        read(answer, True)
    assert server.wait(20) == 0

"""Real servers on pipes, as clients see them: started, spoken to, killed."""

from __future__ import annotations

import subprocess

from tests.playground import Ground, program


class Died(Exception):
    """The server is no more."""


class Server:
    """A server that lets its starter in at once."""

    def __init__(self, ground: Ground, name: str, **options: str) -> None:
        settings = {**ground.options(), **options}
        words = [word for name, value in settings.items() for word in ("-o", f"{name}={value}")]
        self.process = subprocess.Popen(
            program(name, *words), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            cwd=ground.path, env={"HOME": str(ground.home)}, **ground.identity(),  # type: ignore[call-overload]
        )  # fmt: skip
        self.latest = b""
        self.greeting = self.line()

    def line(self) -> bytes:
        assert self.process.stdout is not None
        line: bytes = self.process.stdout.readline()
        if not line.endswith(b"\n"):
            raise Died(f"{line[-200:]!r}, before it {self.latest[-200:]!r}")
        self.latest = line
        return line

    def send(self, words: bytes) -> None:
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(words + b"\r\n")
            self.process.stdin.flush()
        except OSError:
            raise Died from None

    def kill(self) -> None:
        self.process.kill()
        self.end()

    def end(self) -> None:
        """Close both pipes and wait for it."""
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            try:
                pipe.close()
            except OSError:
                pass
        self.process.wait()


class Imap(Server):
    def __init__(self, ground: Ground) -> None:
        super().__init__(ground, "imapd")

    def say(self, words: bytes) -> tuple[bytes, bytes]:
        """The status word, and all that was said before it."""
        self.send(b"t " + words)
        said = []
        while not (line := self.line()).startswith(b"t "):
            said.append(line)
        return line.split()[1], b"".join(said)


class Pop3(Server):
    def __init__(self, ground: Ground) -> None:
        super().__init__(ground, "ipop3d", pop3_preauth="yes")

    def say(self, words: bytes, lines: bool = False) -> bytes:
        self.send(words)
        said = [self.line()]
        while lines and said[0].startswith(b"+OK") and said[-1] != b".\r\n":
            said.append(self.line())
        return b"".join(said)

"""The only file that touches the client's descriptors.

A conversation is a generator that does no I/O.  It yields
    bytes       to be said to the client (kept back and sent in one go before any wait),
    Wait        to hear the client (see wire.py),
    Aside       to speak in the middle of some work (see wire.py),
    anything    else is a question for somebody else: `ask` answers it.
What it returns is what `converse` returns.  The same conversations run in the tests with a
list of bytes in place of the client.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # signal costs an enum at start-up
import os
import select
from stat import S_ISSOCK
from time import monotonic

from mailcore.errors import Hangup, Silence, Terminated
from mailcore.wire import Aside, Wait

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from typing import Any

READ_OCTETS = 65536
SEND_OCTETS = 131072  # said more than this: send before going on
WRITEV_PARTS = 512  # below IOV_MAX (1024 on Linux)
ASIDE_OCTETS = 4096  # a pipe or socket that has room has room for so much (PIPE_BUF)
SEND_SECONDS = 300  # a client that takes nothing for so long is gone
LAST_SEND_SECONDS = 2  # for one who is still being sent something when the end is called for


class Dialogue:
    """One client on two descriptors, which may be the same one, a pipe or a plain file."""

    def __init__(
        self, in_fd: int = 0, out_fd: int = 1, deadline_seconds: float = 0, tuned: bool = False
    ) -> None:
        self.in_fd = in_fd
        self.out_fd = out_fd
        self.deadline = monotonic() + deadline_seconds if deadline_seconds else 0.0
        self.read_octets = READ_OCTETS  # at once
        self.octets_in = 0
        self.octets_out = 0
        self._unsent: list[bytes] = []
        self._unsent_octets = 0
        self._waiting = False
        self._sending = False
        self._cut = False  # an answer was not sent to its end: nothing can follow it
        self._ending: Terminated | None = None
        self._alarm = self._rope = -1
        if not tuned and S_ISSOCK(os.fstat(out_fd).st_mode):
            tune(out_fd)

    # --- endings from outside --------------------------------------------------------

    def obey_signals(self) -> None:
        """TERM, HUP and ALRM end the conversation, but only where it waits for the client.

        A client that does not take what is being sent to it is waited for two seconds more.
        """
        _signal.signal(_signal.SIGTERM, lambda *_: self._end("Killed (terminated)"))
        _signal.signal(_signal.SIGHUP, lambda *_: self._end("Hangup"))
        _signal.signal(_signal.SIGALRM, lambda *_: self._alarmed())
        _signal.pthread_sigmask(_signal.SIG_UNBLOCK, (_signal.SIGTERM, _signal.SIGHUP))  # some begin with them blocked

    def wake_for_signals(self) -> None:
        """Miss no signal that comes between the last look and the wait.

        It would be noticed at the client's next word only.  So the interpreter writes into a pipe
        for each signal, and the wait looks at that too.
        """
        self._alarm, self._rope = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        _signal.set_wakeup_fd(self._rope, warn_on_full_buffer=False)

    def forget_signals(self) -> None:
        """The process goes on after this dialogue."""
        for number in (_signal.SIGTERM, _signal.SIGHUP, _signal.SIGALRM):
            _signal.signal(number, _signal.SIG_DFL)
        _signal.set_wakeup_fd(-1)
        os.close(self._alarm)
        os.close(self._rope)

    def _end(self, reason: str) -> None:
        self._ending = Terminated("Server shutting down", reason)
        if self._waiting:
            raise self._ending
        if self._sending:
            _signal.alarm(LAST_SEND_SECONDS)

    def _alarmed(self) -> None:
        if self._sending and self._ending is not None:
            self._cut = True
            raise self._ending
        self._end("Alarm")

    # --- talking ---------------------------------------------------------------------

    def say(self, data: bytes) -> None:
        """Keep `data` for the next send."""
        self._unsent.append(data)
        self._unsent_octets += len(data)
        if self._unsent_octets >= SEND_OCTETS:
            self.flush()

    def aside(self, data: bytes) -> bool:
        """Say `data` at once, with what was kept back, if nobody need be waited for; False: not said."""
        poll = select.poll()
        poll.register(self.out_fd, select.POLLOUT)
        if self._unsent_octets + len(data) > ASIDE_OCTETS or not poll.poll(0):
            return False
        self.say(data)
        self.flush()
        return True

    def flush(self) -> None:
        """Send all that was said."""
        parts, self._unsent, self._unsent_octets = self._unsent, [], 0
        if self._cut:
            return
        try:
            if len(parts) <= WRITEV_PARTS:
                self._send(b"".join(parts))
            else:
                for first in range(0, len(parts), WRITEV_PARTS):
                    self._send(b"".join(parts[first : first + WRITEV_PARTS]))
        except OSError as error:
            raise Hangup(reason=f"Unexpected client disconnect, {error.strerror}") from None

    def _send(self, data: bytes) -> None:
        self.octets_out += len(data)
        left = memoryview(data)
        self._sending = True
        try:
            if self._ending is not None:
                _signal.alarm(LAST_SEND_SECONDS)
            while left:
                left = left[os.write(self.out_fd, left) :]
        finally:
            self._sending = False
            if self._ending is not None:
                _signal.alarm(0)

    def hear(self, wait: Wait) -> bytes | None:
        """Flush, then wait for the client as `wait` says."""
        self.flush()
        self._waiting = True
        try:
            if self._ending is not None:
                raise self._ending
            data = self._next(wait)
        except OSError as error:
            raise Hangup(reason=f"Unexpected client disconnect, {error.strerror}") from None
        finally:
            self._waiting = False
        self.octets_in += len(data or b"")
        return data

    def _next(self, wait: Wait) -> bytes | None:
        """What the client says next, or None as `wait` has it."""
        return os.read(self.in_fd, self.read_octets) if self._readable(wait) else None

    def _readable(self, wait: Wait) -> bool:
        """True: the client spoke.  False: wait.fd is ready, or its time is over."""
        until = monotonic() + wait.seconds
        if self.deadline:
            until = min(until, self.deadline)
        poll = select.poll()
        for fd in (self.in_fd, wait.fd, self._alarm):
            if fd >= 0:
                poll.register(fd, select.POLLIN)
        while True:
            ready = [fd for fd, _ in poll.poll(max(0, int((until - monotonic()) * 1000)))]
            if self.in_fd in ready:
                return True
            if ready != [self._alarm]:
                break
            os.read(self._alarm, READ_OCTETS)  # whoever handles that signal did so before this line
        if wait.fd < 0:
            raise Silence(reason="Autologout")
        return False

    # --- driving ---------------------------------------------------------------------

    def converse(
        self, talk: Generator[Any, Any, Any], ask: Callable[[Any], Any] | None = None
    ) -> Any:
        """Drive a conversation to its end; what happens to the client is raised inside it."""
        reply: Any = None
        error: BaseException | None = None
        try:
            while True:
                step = talk.throw(error) if error is not None else talk.send(reply)
                reply = error = None
                try:
                    if type(step) is bytes:
                        self.say(step)
                    elif type(step) is Wait:
                        reply = self.hear(step)
                    elif type(step) is Aside:
                        reply = self.aside
                    elif ask is not None:
                        self.flush()
                        reply = ask(step)
                    else:
                        raise TypeError(f"nobody answers {step!r}")
                except (Hangup, Silence, Terminated) as ending:
                    error = ending
        except StopIteration as end:
            self.finish()
            return end.value

    def finish(self) -> None:
        """Say what is left to say; nobody may be there to hear it."""
        try:
            self.flush()
        except (Hangup, Terminated):
            self._unsent.clear()


def say_at_once(fd: int, data: bytes) -> bool:
    """Say it without ever waiting; False: nobody is there, or does not listen."""
    try:
        if not S_ISSOCK(os.fstat(fd).st_mode):
            return os.write(fd, data) == len(data)
        import _socket

        sock = _socket.socket(fileno=os.dup(fd))
        try:
            return sock.send(data, _socket.MSG_DONTWAIT | _socket.MSG_NOSIGNAL) == len(data)
        finally:
            sock.close()
    except OSError:
        return False


def tune(fd: int) -> None:
    """One answer is one packet, and a dead client does not hold us for ever.

    What a listening socket is told counts for all that it accepts.
    """
    import _socket

    sock = _socket.socket(fileno=os.dup(fd))
    try:
        if sock.family in (_socket.AF_INET, _socket.AF_INET6):
            sock.setsockopt(_socket.IPPROTO_TCP, _socket.TCP_NODELAY, 1)
            sock.setsockopt(_socket.SOL_SOCKET, _socket.SO_KEEPALIVE, 1)
        timeval = SEND_SECONDS.to_bytes(8, "little") + bytes(8)
        sock.setsockopt(_socket.SOL_SOCKET, _socket.SO_SNDTIMEO, timeval)
    except OSError:
        pass  # a socket that cannot be tuned still talks
    finally:
        sock.close()

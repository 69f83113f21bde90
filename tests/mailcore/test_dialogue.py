"""mailcore.dialogue: one driver between a conversation and two descriptors."""

from __future__ import annotations

import os
import select
import signal
import socket
import threading
import time

import pytest

from mailcore import dialogue as dialogue_module
from mailcore.dialogue import ASIDE_OCTETS, Dialogue
from mailcore.errors import Hangup, Silence, Terminated
from mailcore.wire import Aside, Wait, Wire


@pytest.fixture
def pair():
    ours, theirs = socket.socketpair()
    yield ours, theirs
    ours.close()
    theirs.close()


def test_what_is_said_goes_out_in_one_send_before_the_wait(pair):
    ours, theirs = pair

    def talk():
        yield b"one\r\n"
        yield b"two\r\n"
        yield Wait(1)

    theirs.send(b"x")
    Dialogue(ours.fileno(), ours.fileno()).converse(talk())
    assert theirs.recv(100) == b"one\r\ntwo\r\n"


def test_the_return_value_comes_through_and_the_last_words_are_sent(pair):
    ours, theirs = pair

    def talk():
        line = yield from Wire(1).line(10)
        yield b"bye\r\n"
        return line

    theirs.send(b"hello\r\n")
    assert Dialogue(ours.fileno(), ours.fileno()).converse(talk()) == b"hello"
    assert theirs.recv(100) == b"bye\r\n"


def test_a_question_goes_to_who_answers(pair):
    ours, _ = pair

    def talk():
        return (yield ("what", "now"))

    assert Dialogue(ours.fileno(), ours.fileno()).converse(talk(), ask=lambda question: question[1]) == "now"
    with pytest.raises(TypeError):
        Dialogue(ours.fileno(), ours.fileno()).converse(talk())


def test_silence_is_raised_inside_the_conversation(pair):
    ours, theirs = pair

    def talk():
        try:
            yield Wait(0.05)
        except Silence:
            yield b"too slow\r\n"

    Dialogue(ours.fileno(), ours.fileno()).converse(talk())
    assert theirs.recv(100) == b"too slow\r\n"


def test_the_deadline_is_for_the_whole_conversation(pair):
    ours, theirs = pair

    def talk():
        while True:
            yield Wait(10)

    stop = threading.Event()

    def drip():
        while not stop.wait(0.02):
            theirs.send(b"x")

    thread = threading.Thread(target=drip)
    thread.start()
    started = time.monotonic()
    with pytest.raises(Silence):
        Dialogue(ours.fileno(), ours.fileno(), deadline_seconds=0.3).converse(talk())
    stop.set()
    thread.join()
    assert time.monotonic() - started < 5


def test_another_descriptor_wakes_the_wait(pair):
    ours, theirs = pair
    reader, writer = os.pipe()
    os.write(writer, b"!")
    heard = []

    def talk():
        heard.append((yield Wait(5, reader)))
        os.read(reader, 1)
        heard.append((yield Wait(0.01, reader)))
        theirs.send(b"client")
        heard.append((yield Wait(5, reader)))

    Dialogue(ours.fileno(), ours.fileno()).converse(talk())
    os.close(reader)
    os.close(writer)
    assert heard == [None, None, b"client"]


def test_a_client_that_left_is_a_hangup(pair):
    ours, theirs = pair
    theirs.close()

    def talk():
        for _ in range(100):
            yield b"x" * 100_000
        yield Wait(1)

    with pytest.raises(Hangup):
        Dialogue(ours.fileno(), ours.fileno()).converse(talk())


@pytest.fixture
def handlers():
    """The signal handlers of the test run are its own again afterwards."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGALRM)}
    yield
    signal.set_wakeup_fd(-1)
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGALRM])
def test_a_signal_ends_only_a_wait(pair, handlers, number):
    """A signal in the middle of work is kept until the work is done (R27)."""
    ours, theirs = pair
    done = []

    def talk():
        os.kill(os.getpid(), number)
        done.append("work after the signal")
        try:
            yield Wait(10)
        except Terminated:
            yield b"bye\r\n"

    dialogue = Dialogue(ours.fileno(), ours.fileno())
    dialogue.obey_signals()
    dialogue.converse(talk())
    assert done == ["work after the signal"]
    assert theirs.recv(100) == b"bye\r\n"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGALRM])
@pytest.mark.parametrize("early", [False, True])
def test_a_signal_ends_a_send_that_nobody_takes(pair, handlers, monkeypatch, number, early):
    """What was cut off is followed by nothing, or it would be part of a literal."""
    ours, theirs = pair
    monkeypatch.setattr(dialogue_module, "LAST_SEND_SECONDS", 1)
    ended = []

    def talk():
        if early:
            os.kill(os.getpid(), number)
        try:
            yield b"x" * 5_000_000
            yield Wait(60)
        except Terminated:
            ended.append("told")
            yield b"bye\r\n"

    dialogue = Dialogue(ours.fileno(), ours.fileno())
    dialogue.obey_signals()
    main = threading.main_thread().ident
    killer = threading.Timer(0.1, lambda: signal.pthread_kill(main, number))
    if not early:
        killer.start()
    start = time.monotonic()
    dialogue.converse(talk())
    assert ended == ["told"] and time.monotonic() - start < 30
    ours.close()
    taken = b"".join(iter(lambda: theirs.recv(1_000_000), b""))
    assert 0 < len(taken) < 5_000_000 and taken.strip(b"x") == b""


def test_who_takes_it_late_has_it_whole(pair, handlers):
    ours, theirs = pair
    taken = []

    def talk():
        os.kill(os.getpid(), signal.SIGTERM)
        try:
            yield b"x" * 5_000_000
            yield Wait(60)
        except Terminated:
            yield b"bye\r\n"

    def take():
        time.sleep(0.3)
        taken.extend(iter(lambda: theirs.recv(1_000_000), b""))

    reader = threading.Thread(target=take)
    reader.start()
    dialogue = Dialogue(ours.fileno(), ours.fileno())
    dialogue.obey_signals()
    dialogue.converse(talk())
    ours.shutdown(socket.SHUT_WR)
    reader.join()
    assert b"".join(taken) == b"x" * 5_000_000 + b"bye\r\n"


def test_a_signal_between_the_look_and_the_wait_is_not_missed(pair, handlers, monkeypatch):
    """The interpreter has seen it, its handler has not run yet, and the poll is entered."""
    ours, _ = pair
    poll = select.poll

    class Late:
        def __init__(self):
            self._poll = poll()
            self.register = self._poll.register

        def poll(self, milliseconds):
            signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
            os.write(signal.set_wakeup_fd(-1), b"\x0f")  # what the C handler does at once
            ready = self._poll.poll(milliseconds)
            try:
                os.kill(os.getpid(), signal.SIGTERM)  # another thread may take it
            finally:
                signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])  # the Python handler runs here
            return ready

    monkeypatch.setattr(select, "poll", Late)
    dialogue = Dialogue(ours.fileno(), ours.fileno())
    dialogue.obey_signals()
    dialogue.wake_for_signals()
    before = time.monotonic()
    with pytest.raises(Terminated):
        dialogue.hear(Wait(60))
    assert time.monotonic() - before < 30


def test_another_signal_does_not_end_a_wait(pair, handlers):
    ours, theirs = pair
    dialogue = Dialogue(ours.fileno(), ours.fileno())
    dialogue.obey_signals()
    dialogue.wake_for_signals()
    usual = signal.signal(signal.SIGUSR1, lambda *_: theirs.send(b"x"))
    try:
        os.kill(os.getpid(), signal.SIGUSR1)
        assert dialogue.hear(Wait(10)) == b"x"
    finally:
        signal.signal(signal.SIGUSR1, usual)


def test_files_and_pipes_do(tmp_path):
    (tmp_path / "in").write_bytes(b"a\r\nb\r\n")
    source = os.open(tmp_path / "in", os.O_RDONLY)
    target = os.open(tmp_path / "out", os.O_WRONLY | os.O_CREAT)

    def talk():
        wire = Wire(1)
        try:
            while True:
                line = yield from wire.line(10)
                yield line.upper() + b"\r\n"
        except Hangup:
            return

    Dialogue(source, target).converse(talk())
    os.close(source)
    os.close(target)
    assert (tmp_path / "out").read_bytes() == b"A\r\nB\r\n"


def test_speaking_aside(pair):
    """In the middle of some work, behind what was said before; never so that the client is waited for."""
    ours, theirs = pair

    def talk():
        aside = yield Aside()
        yield b"first "
        assert aside(b"aside ") is True
        assert theirs.recv(100) == b"first aside "
        yield b"x" * ASIDE_OCTETS
        assert aside(b"aside ") is False
        yield b"last"

    Dialogue(ours.fileno(), ours.fileno()).converse(talk())
    assert theirs.recv(10_000, socket.MSG_WAITALL | socket.MSG_DONTWAIT) == b"x" * ASIDE_OCTETS + b"last"
    ours.setblocking(False)
    with pytest.raises(BlockingIOError):
        while True:
            ours.send(b"x" * 65536)
    assert Dialogue(ours.fileno(), ours.fileno()).aside(b"aside ") is False

"""mailcore.login.pump: all that one side says reaches the other, to the last word, and then it ends."""

from __future__ import annotations

import socket
import ssl
import threading

import pytest

from mailcore.login import pump
from mailcore.login.pump import Pump
from mailcore.login.tls import Keys
from mailcore.settings import Settings
from tests.mailcore.login.test_tls import Imap
from tests.playground import certificate, context

SECONDS = 10
MUCH = bytes(range(256)) * 20_000  # 5 MB: more than all buffers on the way


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    place = tmp_path_factory.mktemp("certificates")
    certificate(place)
    return Keys(Imap, Settings(tls_directory=str(place)))


class Line:
    """A client under TLS, a session in clear, and the pump between them in a thread."""

    def __init__(self, keys):
        net, ours = socket.socketpair()
        self.session, clear = socket.socketpair()
        self.cipher = keys.cipher()
        self.thread = threading.Thread(target=self._serve, args=(ours, clear), daemon=True)
        self.thread.start()
        net.settimeout(SECONDS)
        self.session.settimeout(SECONDS)
        self.client = context().wrap_socket(net, suppress_ragged_eofs=False)
        self.session.sendall(b"!")
        assert self.client.recv(1) == b"!"  # the pump runs

    def _serve(self, net, clear):
        while not self.cipher.shake_hands():
            net.sendall(self.cipher.take())
            self.cipher.feed(net.recv(65536))
        net.sendall(self.cipher.take())
        fd = net.detach()
        Pump(fd, fd, clear.detach(), self.cipher).run()

    def ended(self):
        self.thread.join(SECONDS)
        return not self.thread.is_alive()


@pytest.fixture
def line(keys, monkeypatch):
    monkeypatch.setattr(pump, "LINGER_SECONDS", 0.2)
    line = Line(keys)
    yield line
    line.session.close()
    line.client.close()
    assert line.ended()


def hear(sock, octets):
    heard = bytearray()
    while len(heard) < octets:
        part = sock.recv(65536)
        if not part:
            break
        heard += part
    return bytes(heard)


def in_thread(call, *arguments):
    thread = threading.Thread(target=call, args=arguments, daemon=True)
    thread.start()
    return thread


def test_both_speak_at_once(line):
    threads = [in_thread(line.session.sendall, MUCH)]
    assert hear(line.client, len(MUCH)) == MUCH
    threads.append(in_thread(line.client.sendall, MUCH))
    assert hear(line.session, len(MUCH)) == MUCH
    for thread in threads:
        thread.join(SECONDS)


def test_what_came_with_the_login_is_delivered_first(keys, monkeypatch):
    """Bytes that the gatekeeper's OpenSSL holds already when the pump begins."""
    line = Line(keys)
    line.client.sendall(b"one\r\n")
    assert hear(line.session, 5) == b"one\r\n"
    line.session.close()
    assert line.client.recv(10) == b""
    line.client.close()
    assert line.ended()


def test_the_last_words_of_the_session_arrive(line):
    in_thread(lambda: (line.session.sendall(MUCH + b"* BYE\r\n"), line.session.close()))
    heard = hear(line.client, len(MUCH) + 8)
    assert heard == MUCH + b"* BYE\r\n"  # and then close_notify: an end without it would raise


def test_a_client_that_says_no_more_may_still_listen(line):
    line.client.sendall(b"a LOGOUT\r\n")
    with pytest.raises((ssl.SSLError, TimeoutError)):  # close_notify is sent; none comes back yet
        line.client.settimeout(0.1)
        line.client.unwrap()
    assert hear(line.session, 100) == b"a LOGOUT\r\n"
    line.session.sendall(b"bye")
    line.session.close()


def test_a_client_that_breaks_off(keys, monkeypatch):
    monkeypatch.setattr(pump, "LINGER_SECONDS", 0.2)
    line = Line(keys)
    socket.socket(fileno=line.client.detach()).close()
    assert line.session.recv(10) == b""
    line.session.close()
    assert line.ended()


def test_a_session_that_breaks_off(line):
    line.session.close()
    try:
        line.client.sendall(b"anybody there?")
    except OSError:
        pass
    assert line.client.recv(10) == b""
    assert line.ended()


def test_garbage_from_the_net_ends_it(keys):
    line = Line(keys)
    net = socket.socket(fileno=line.client.detach())
    net.sendall(b"this is no TLS at all, is it?\r\n" * 10)
    assert line.ended()
    line.session.close()
    net.close()


def test_who_takes_nothing_for_too_long_is_gone(keys, monkeypatch):
    monkeypatch.setattr(pump, "SEND_SECONDS", 0.2)
    line = Line(keys)
    in_thread(lambda: _say(line.session))
    assert line.ended()
    line.client.close()
    line.session.close()


def _say(sock):
    try:
        sock.sendall(MUCH)
    except OSError:
        pass


def test_memory_is_bounded(line):
    """A client that reads nothing: the session is made to wait."""
    line.session.settimeout(0.3)
    said = 0
    with pytest.raises(TimeoutError):
        while True:
            said += line.session.send(MUCH[:65536])
    assert said < 3_000_000

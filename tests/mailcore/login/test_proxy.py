"""mailcore.login.proxy: the PROXY protocol's two headers, and not one octet more (S60, S61)."""

from __future__ import annotations

import random
import socket
import threading
import time

import pytest

from mailcore.login import proxy
from mailcore.login.proxy import V2_START, BadHeader

V4 = socket.inet_aton("192.0.2.1") + socket.inet_aton("192.0.2.2") + b"\x9c\x40\x00\x8f"
V6 = socket.inet_pton(socket.AF_INET6, "2001:db8::1") + bytes(15) + b"\1" + b"\x9c\x40\x00\x8f"
MAPPED = bytes(10) + b"\xff\xff" + socket.inet_aton("192.0.2.1") + bytes(16) + b"\x9c\x40\x00\x8f"


def v2(command, family, body):
    return V2_START + bytes([command, family]) + len(body).to_bytes(2, "big") + body


def tlv(kind, value):
    return bytes([kind]) + len(value).to_bytes(2, "big") + value


NOOP = tlv(4, bytes(50))
LONGEST_V1 = b"PROXY UNKNOWN " + b"f" * (107 - 16) + b"\r\n"

RIGHT = [
    (b"PROXY TCP4 192.0.2.1 192.0.2.2 40000 143\r\n", ("192.0.2.1", 40000, False)),
    (b"PROXY TCP6 2001:db8::1 ::1 0 65535\r\n", ("2001:db8::1", 0, False)),
    (b"PROXY TCP6 2001:0DB8:0000:0000:0000:0000:0000:0001 ::1 1 1\r\n", ("2001:db8::1", 1, False)),
    (b"PROXY TCP6 ::ffff:192.0.2.1 ::1 1 1\r\n", ("192.0.2.1", 1, False)),
    (b"PROXY UNKNOWN\r\n", ("", 0, False)),
    (b"PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n", ("", 0, False)),
    (LONGEST_V1, ("", 0, False)),
    (v2(0x21, 0x11, V4), ("192.0.2.1", 40000, False)),
    (v2(0x21, 0x21, V6), ("2001:db8::1", 40000, False)),
    (v2(0x21, 0x21, MAPPED), ("192.0.2.1", 40000, False)),
    (v2(0x21, 0x11, V4 + NOOP), ("192.0.2.1", 40000, False)),
    (v2(0x21, 0x11, V4 + NOOP + tlv(0x20, b"\1" + bytes(4)) + tlv(2, b"")), ("192.0.2.1", 40000, True)),
    (v2(0x21, 0x11, V4 + tlv(0x20, b"\0" + bytes(4))), ("192.0.2.1", 40000, False)),
    (v2(0x21, 0x11, V4 + tlv(4, bytes(520 - 12 - 3))), ("192.0.2.1", 40000, False)),  # 536 octets
    (v2(0x20, 0x00, b""), ("", 0, False)),
    (v2(0x20, 0x11, V4), ("", 0, False)),
    (v2(0x20, 0x11, b"anything"), ("", 0, False)),
    (v2(0x21, 0x00, b""), ("", 0, False)),
    (v2(0x21, 0x12, V4), ("", 0, False)),
    (v2(0x21, 0x31, bytes(216)), ("", 0, False)),
]

WRONG = [
    b"PROXY TCP4 192.0.2.1 192.0.2.2 40000\r\n",
    b"PROXY TCP4 192.0.2.1 192.0.2.2 40000 143 5\r\n",
    b"PROXY TCP4  192.0.2.1 192.0.2.2 40000 143\r\n",
    b"PROXY TCP4 2001:db8::1 ::1 40000 143\r\n",
    b"PROXY TCP6 192.0.2.1 192.0.2.2 40000 143\r\n",
    b"PROXY TCP4 192.0.2.256 192.0.2.2 40000 143\r\n",
    b"PROXY TCP4 192.0.2.01 192.0.2.2 40000 143\r\n",
    b"PROXY TCP4 192.0.2.1 host 40000 143\r\n",
    b"PROXY TCP4 192.0.2.1 192.0.2.2 65536 143\r\n",
    b"PROXY TCP4 192.0.2.1 192.0.2.2 -1 143\r\n",
    b"PROXY TCP4 192.0.2.1 192.0.2.2 +1 143\r\n",
    b"PROXY TCP4 192.0.2.1 192.0.2.2 01 143\r\n",
    b"PROXY TCP4 192.0.2.1 192.0.2.2 40000 \r\n",
    b"PROXY TCP4 192.0.2.1 192.0.2.2 40000 143\n\r\n",
    b"PROXY UDP4 192.0.2.1 192.0.2.2 40000 143\r\n",
    b"PROXY unknown\r\n",
    b"proxy TCP4 192.0.2.1 192.0.2.2 40000 143\r\n",
    LONGEST_V1[:-2] + b"f\r\n",
    b"PROXY UNKNOWN " + b"f" * 200,
    b"* OK I am a server\r\n",
    b"a LOGIN fred x\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(30),
    v2(0x21, 0x11, V4[:-1]),
    v2(0x21, 0x21, V6[:-1]),
    v2(0x21, 0x21, V4),
    v2(0x22, 0x11, V4),
    v2(0x11, 0x11, V4),
    v2(0x21, 0x11, V4 + b"\4"),
    v2(0x21, 0x11, V4 + b"\4\0"),
    v2(0x21, 0x11, V4 + b"\4\0\1"),
    v2(0x21, 0x11, V4 + b"\4\xff\xff" + bytes(10)),
    v2(0x21, 0x11, V4 + tlv(0x20, b"\1")),
    v2(0x21, 0x11, V4 + tlv(4, bytes(521 - 12 - 3))),  # 537 octets
    v2(0x21, 0x11, bytes(65535)),
]


@pytest.fixture
def line():
    with socket.create_server(("127.0.0.1", 0)) as listening:
        client = socket.create_connection(listening.getsockname())
        server, _ = listening.accept()
    with client, server:
        yield client, server


def taken(server, seconds=5.0, required=True):
    origin = proxy.take(server, seconds, required)
    return origin and (origin.address, origin.port, origin.secure)


@pytest.mark.parametrize("required", [True, False])
@pytest.mark.parametrize("header, origin", RIGHT)
def test_a_header_and_not_one_octet_more(line, header, origin, required):
    client, server = line
    client.sendall(header + b"\x16\x03\x01a LOGIN")
    assert taken(server, required=required) == origin
    assert server.recv(100) == b"\x16\x03\x01a LOGIN"


@pytest.mark.parametrize("header", WRONG)
def test_what_is_no_header_ends_the_connection(line, header):
    client, server = line
    client.sendall(header)
    client.shutdown(socket.SHUT_WR)
    with pytest.raises(BadHeader) as caught:
        taken(server)
    assert caught.value.reason.startswith("PROXY header ") and not caught.value.text


@pytest.mark.parametrize("header, origin", RIGHT[:1] + RIGHT[7:8])
def test_a_header_that_comes_in_pieces(line, header, origin):
    client, server = line
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def send():
        for octet in header:
            client.sendall(bytes([octet]))
            time.sleep(0.001)

    for required in (True, False):
        sender = threading.Thread(target=send)
        sender.start()
        assert taken(server, required=required) == origin
        sender.join()


@pytest.mark.parametrize("header", [b"", b"P", b"PROXY TCP4 192.0.2.1", V2_START, v2(0x21, 0x11, V4)[:-1]])
def test_a_header_that_does_not_come_in_time(line, header):
    client, server = line
    client.sendall(header)
    began = time.monotonic()
    with pytest.raises(BadHeader, match="late"):
        taken(server, seconds=0.2)
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("header", [b"", b"PROXY TCP4 192.0.2.1", V2_START, v2(0x21, 0x11, V4)[:-1]])
def test_a_header_that_is_cut_off(line, header):
    client, server = line
    client.sendall(header)
    client.close()
    with pytest.raises(BadHeader, match="cut off|missing"):
        taken(server)


@pytest.mark.parametrize("said", [b"a LOGIN fred x\r\n", b"\x16\x03\x01\x00", b"PASS x\r\n", b"\r\n\r\nQUIT\r\n"])
def test_where_none_is_required_nothing_is_taken(line, said):
    client, server = line
    client.sendall(said)
    assert taken(server, required=False) is None
    assert server.recv(100) == said


def test_where_none_is_required_silence_is_none(line):
    _, server = line
    assert taken(server, seconds=0.1, required=False) is None


def test_any_bytes_are_a_header_or_none(line):
    """S61's fuzz: nothing but an Origin or BadHeader ever comes out."""
    dice = random.Random(61)
    good = [header for header, _ in RIGHT]
    for _ in range(20_000):
        header = bytearray(dice.choice(good))
        for _ in range(dice.randrange(1, 4)):
            header[dice.randrange(len(header))] = dice.randrange(256)
        reader = proxy.read_v2 if header.startswith(V2_START) else proxy.read_v1
        try:
            origin = reader(bytes(header))
        except BadHeader:
            continue
        assert origin.address == "" or proxy.pack(origin.address) is not None
        assert 0 <= origin.port <= 65535



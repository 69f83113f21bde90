"""The demo's mail is mail: every message is found, and each kind is there once."""

from __future__ import annotations

import re

from mailcore.tools.demo_mail import INBOX, OTHERS

SEPARATOR = re.compile(rb"(?m)^From \S+ [A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d \d{4}$")


def test_every_message_starts_with_a_separator():
    assert len(SEPARATOR.findall(INBOX)) == 12
    assert len(re.findall(rb"(?m)^From ", INBOX)) == 12
    assert b"days ago" not in INBOX and b"@REPORT@" not in INBOX
    for name, content in OTHERS.items():
        assert len(SEPARATOR.findall(content)) == {"Sent": 1, "lists/python": 5, "lists/&AMk-tudes": 1}.get(name, 0)


def test_there_is_something_of_everything():
    for word in (b"multipart/mixed", b"multipart/alternative", b"message/rfc822", b"base64", b"quoted-printable",
                 b"8bit", b"=?ISO-8859-1?", "été".encode(), b"\n.\n", b"\n>From "):  # fmt: skip
        assert word in INBOX, word


def test_messages_are_separated_by_an_empty_line():
    for content in (INBOX, *OTHERS.values()):
        assert not content or content.endswith(b"\n\n")
        assert not re.search(rb"[^\n]\nFrom ", content)

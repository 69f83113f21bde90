"""mail_location in Dovecot's words, with its %-words."""

from __future__ import annotations

import pytest

from mailcore.errors import BadName, BadSetting
from mailcore.store.location import expand, parse_location


@pytest.mark.parametrize(
    ("template", "expanded"),
    [
        ("/var/mail/%u", "/var/mail/Fred@Example.org"),
        ("/var/mail/%n", "/var/mail/Fred"),
        ("/v/%d/%n", "/v/Example.org/Fred"),
        ("%h/mail", "/home/f/mail"),
        ("/v/%1u/%1.1u/%u", "/v/F/r/Fred@Example.org"),
        ("/v/%2Lu", "/v/fr"),
        ("/v/%Ln", "/v/fred"),
        ("/v/%Un", "/v/FRED"),
        ("/v/100%%/%n", "/v/100%/Fred"),
        ("/v/%%u", "/v/%u"),
        ("/v/%%", "/v/%"),
        ("/v/%99n", "/v/Fred"),
    ],
)
def test_expand(template, expanded):
    assert expand(template, "Fred@Example.org", "/home/f") == expanded


@pytest.mark.parametrize("template", ["%", "/v/%", "%x", "/v/%Lx", "%1.u", "%.1u", "%1.2.3u", "%9999999999u", "%é"])
def test_expand_mistakes(template):
    with pytest.raises(BadSetting):
        expand(template, "fred", "/home/fred")


def test_what_the_user_brings_is_not_expanded_again():
    assert expand("/v/%u", "%h%d%u", "/home/f") == "/v/%h%d%u"


@pytest.mark.parametrize("user", ["../root", "a/b", "..", ".", "a\0b"])
def test_a_user_is_one_component(user):
    with pytest.raises(BadName):
        expand("/var/mail/%u", user, "/home/f")


@pytest.mark.parametrize(
    ("spec", "root", "inbox", "index"),
    [
        ("mbox:~/mail:INBOX=/var/mail/%u", "/h/f/mail", "/var/mail/f", ""),
        ("mbox:~:INBOX=/var/mail/%1u/%u", "/h/f", "/var/mail/f/f", ""),
        ("mbox:~/Mail", "/h/f/Mail", "/h/f/Mail/inbox", ""),
        ("mbox:%h/mail/:INBOX=~/mbox", "/h/f/mail", "/h/f/mbox", ""),
        ("mbox:/m/%u:INDEX=/i/%u:INBOX=/v/%u", "/m/f", "/v/f", "/i/f"),
        ("mbox:/m/%u:INDEX=MEMORY:INBOX=/v/%u", "/m/f", "/v/f", ""),
    ],
)
def test_location(spec, root, inbox, index):
    location = parse_location(spec, "f", "/h/f")
    assert (location.root, location.inbox, location.index) == (root, inbox, index)


@pytest.mark.parametrize(
    "spec",
    ["", "mbox", "mbox:", "maildir:~/Maildir", "mbox:mail", "mbox:~/mail:INBOX", "mbox:~/mail:INBOX=",
     "mbox:~/mail:INBOX=/a:INBOX=/b", "mbox:~/mail:LAYOUT=fs", "mbox:~fred/mail", "mbox:~/mail:/var/mail/%u"],
)  # fmt: skip
def test_location_mistakes(spec):
    with pytest.raises(BadSetting):
        parse_location(spec, "f", "/h/f")

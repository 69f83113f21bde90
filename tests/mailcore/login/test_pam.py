"""mailcore.login.pam: the conversation and the codes, against a libpam of our own.

The real libpam is asked in tests/integration/test_pam.py.
"""

from __future__ import annotations

import ctypes

import pytest

from mailcore.login import pam


class FakePam:
    """Asks for what it is told to ask, and answers each step with a status."""

    def __init__(self, prompts=(), statuses=None, user=b""):
        self.prompts = prompts
        self.statuses = statuses or {}
        self.user = user
        self.calls = []
        self.items = {}
        self.answers = []
        self.conversed = None

    def pam_start(self, service, user, conv, handle):
        self.calls.append(("pam_start", service, user))
        self.conv = conv._obj
        return self.statuses.get("pam_start", 0)

    def pam_set_item(self, handle, item, value):
        self.items[item] = value
        return 0

    def pam_get_item(self, handle, item, value):
        value._obj.value = self.user or None
        return 0

    def pam_strerror(self, handle, status):
        return b"status %d" % status

    def pam_end(self, handle, status):
        self.calls.append(("pam_end", status))

    def _step(self, name):
        def step(handle, flags):
            self.calls.append((name, flags))
            if name == "pam_authenticate":
                self._converse()
            return self.statuses.get(name, 0)

        return step

    def __getattr__(self, name):
        return self._step(name)

    def _converse(self):
        messages = [pam._Message(style, text) for style, text in self.prompts]
        pointers = (ctypes.POINTER(pam._Message) * len(messages))(*map(ctypes.pointer, messages))
        responses = ctypes.POINTER(pam._Response)()
        self.conversed = self.conv.conv(len(messages), pointers, ctypes.byref(responses), None)
        if self.conversed == 0:
            for index in range(len(messages)):
                text = responses[index].text
                self.answers.append(ctypes.string_at(text) if text else None)


@pytest.fixture
def ask(monkeypatch):
    real = pam._libraries

    def ask(fake, **keywords):
        monkeypatch.setattr(pam, "_libraries", lambda: (fake, LIBC))
        return pam.authenticate("imap", "fred", b"s\xe9cret", **keywords)

    LIBC = real()[1]
    return ask


PROMPTS = [(2, b"login: "), (4, b"hello\n\x1b[31mthere"), (1, b"Password: "), (3, b"bad\xe9"), (1, b"Again: ")]


def test_prompts_are_answered_and_messages_kept(ask):
    fake = FakePam(PROMPTS)
    outcome = ask(fake, rhost="192.0.2.7")
    assert fake.answers == [b"fred", None, b"s\xe9cret", None, b"s\xe9cret"]
    assert (outcome.code, outcome.user) == ("", "fred")
    assert outcome.messages == ["hello", "[31mthere", "bad?"]
    assert fake.items[pam.PAM_RHOST] == b"192.0.2.7"
    assert pam.PAM_FAIL_DELAY in fake.items
    assert [call[0] for call in fake.calls] == [
        "pam_start",
        "pam_authenticate",
        "pam_acct_mgmt",
        "pam_setcred",
        "pam_end",
    ]


def test_a_prompt_of_no_known_kind_fails(ask):
    fake = FakePam([(1, b"Password: "), (7, b"binary")])
    ask(fake)
    assert fake.conversed == pam.PAM_CONV_ERR


def test_a_session_is_opened_only_if_asked(ask):
    fake = FakePam()
    ask(fake, session=True)
    assert [call[0] for call in fake.calls][-3:] == ["pam_open_session", "pam_close_session", "pam_end"]


@pytest.mark.parametrize(
    "step, status, code",
    [
        ("pam_authenticate", 7, "WRONG"),
        ("pam_authenticate", 10, "WRONG"),
        ("pam_authenticate", 11, "WRONG"),
        ("pam_authenticate", 12, "WRONG"),
        ("pam_authenticate", 13, "WRONG"),
        ("pam_authenticate", 9, "UNAVAILABLE"),
        ("pam_authenticate", 4, "UNAVAILABLE"),
        ("pam_start", 26, "UNAVAILABLE"),
        ("pam_acct_mgmt", 6, "DENIED"),
        ("pam_acct_mgmt", 12, "EXPIRED"),
        ("pam_acct_mgmt", 13, "EXPIRED"),
        ("pam_setcred", 16, "EXPIRED"),
        ("pam_setcred", 17, "WRONG"),
    ],
)
def test_what_each_failure_means(ask, step, status, code):
    fake = FakePam(statuses={step: status})
    assert ask(fake).code == code
    if step != "pam_start":
        assert fake.calls[-2:] == [fake.calls[-2], ("pam_end", status)]
        assert fake.calls[-2][0] == step  # nothing after the step that failed


def test_the_user_may_be_another_in_the_end(ask):
    assert ask(FakePam(user=b"mapped")).user == "mapped"


def test_no_libpam_is_unavailable(monkeypatch):
    def none():
        raise OSError("libpam.so.0: not found")

    monkeypatch.setattr(pam, "_libraries", none)
    assert pam.authenticate("imap", "fred", b"x").code == "UNAVAILABLE"


# --- new passwords ---------------------------------------------------------------------------


class FakeChange(FakePam):
    """Asks in pam_chauthtok, for the old password and twice for the new one."""

    asked = [(1, b"Current password: "), (1, b"New password: "), (3, b"BAD PASSWORD: too short"), (1, b"Retype NEW: ")]

    def _converse(self):
        super()._converse()
        self.prompts = self.asked

    def pam_chauthtok(self, handle, flags):
        self.calls.append(("pam_chauthtok", flags))
        FakePam._converse(self)
        return self.statuses.get("pam_chauthtok", 0)


@pytest.fixture
def change(monkeypatch):
    real = pam._libraries()[1]

    def change(fake):
        monkeypatch.setattr(pam, "_libraries", lambda: (fake, real))
        return pam.change("poppassd", "fred", b"old", b"brand-new", "127.0.0.1")

    return change


def test_each_prompt_has_its_password(change):
    fake = FakeChange([(4, b"You are required to change your password"), (1, b"New-style Password: ")])
    outcome = change(fake)
    assert fake.answers == [None, b"old", b"old", b"brand-new", None, b"brand-new"]
    assert (outcome.code, outcome.messages) == ("", ["BAD PASSWORD: too short"])
    steps = ["pam_start", "pam_authenticate", "pam_acct_mgmt", "pam_chauthtok", "pam_end"]
    assert [call[0] for call in fake.calls] == steps


@pytest.mark.parametrize(
    "step, status, code",
    [
        ("pam_authenticate", 7, "WRONG"),
        ("pam_authenticate", 9, "UNAVAILABLE"),
        ("pam_acct_mgmt", 12, ""),  # a password that is too old may be changed,
        ("pam_acct_mgmt", 13, "EXPIRED"),  # one of an expired account not
        ("pam_acct_mgmt", 6, "DENIED"),
        ("pam_chauthtok", 20, "REFUSED"),
        ("pam_chauthtok", 22, "REFUSED"),
        ("pam_chauthtok", 4, "REFUSED"),
    ],
)
def test_what_each_failure_of_a_change_means(change, step, status, code):
    fake = FakeChange([(1, b"Password: ")], statuses={step: status})
    assert change(fake).code == code
    assert fake.calls[-2][0] == (step if code else "pam_chauthtok")

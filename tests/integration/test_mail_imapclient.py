"""Perl's Mail::IMAPClient at work on a mailbox, with what lies in the mbox file afterwards."""

from __future__ import annotations

import base64
import json
import subprocess
from typing import Any

import pytest

from tests.conftest import missing, need
from tests.integration.post_office import CORPUS, HOST, PASSWORD, USER, PostOffice, crlf, mail

# What the scripts below share. It says one JSON value for each say(), octets in base64.
PROLOGUE = r"""
use strict; use warnings; use utf8;
use Mail::IMAPClient; use JSON::PP; use MIME::Base64;
my ($host, $port, $ca, $user, $password, $file) = @ARGV;
my $imap = Mail::IMAPClient->new(
    Server => $host, Port => $port, User => $user, Password => $password, Uid => 1, Timeout => 30,
    Ssl => [SSL_ca_file => $ca, SSL_verify_mode => 1, SSL_verifycn_scheme => 'imap'],
) or die "new: $@\n";
sub ok { die((caller)[2] . ": " . ($imap->LastError // 'nothing') . "\n") unless defined $_[0]; $_[0] }
sub octets { encode_base64($_[0], '') }
sub slurp { local $/; open my $in, '<:raw', $_[0] or die; <$in> }
$| = 1;
sub say_ { print encode_json($_[0]), "\n" }
ok($imap->select('INBOX'));
"""


def perl(office: PostOffice, script: str, *arguments: str) -> list[Any]:
    command = [need("perl"), "-e", PROLOGUE + script + "\nok($imap->logout);", HOST, str(office.imaps),
               str(office.certificate), USER, PASSWORD, *arguments]  # fmt: skip
    said = office.run(*command, home=office.home())
    return [json.loads(line) for line in said.splitlines()]


@pytest.fixture
def shop(office):
    done = subprocess.run([need("perl"), "-MMail::IMAPClient", "-MIO::Socket::SSL", "-e1"], check=False)
    if done.returncode:
        missing("Mail::IMAPClient")
    office.fill()
    return office


def test_what_it_reads(shop):
    said = perl(
        shop,
        r"""
        say_([sort { $a <=> $b } $imap->messages]);
        say_([map { octets(ok($imap->message_string($_))) } $imap->messages]);
        say_(scalar $imap->fetch_hash('FLAGS', 'INTERNALDATE', 'RFC822.SIZE'));
        say_([map { $imap->subject($_) } $imap->messages]);
        say_([map { 0 + $_ } $imap->seen]);
        say_(ok($imap->get_bodystructure(5))->bodytype);
        say_(ok($imap->get_envelope(1))->subject);
        say_([ok($imap->search('SUBJECT', \ 'eight'))]);
        say_([$imap->sort('SUBJECT', 'US-ASCII', 'ALL')]);
        say_(scalar @{ok($imap->thread('REFERENCES', 'UTF-8', 'ALL'))});
        """,
    )
    uids, texts, hashes, subjects, seen, kind, subject, found, order, threads = said
    assert uids == list(range(1, len(CORPUS) + 1))
    assert [base64.b64decode(text) for text in texts] == [crlf(text) for text in CORPUS]
    assert hashes["1"]["RFC822.SIZE"] == str(len(crlf(CORPUS[0])))
    assert hashes["1"]["INTERNALDATE"].startswith("21-Nov-2026 12:00:00")
    assert subjects[:2] == ["plain", "dots"] and seen == uids  # message_string reads
    assert kind.strip('"').upper() == "MULTIPART" and subject.strip('"') == "plain"
    assert [int(number) for number in found] == [4] and len(order) == len(CORPUS) and threads >= 1
    assert shop.mails() == CORPUS and all("R" in flags for flags in shop.flags().values())


def test_what_it_changes(shop):
    new = shop.home() / "new.eml"
    new.write_bytes(crlf(mail("appended", b"From here\n\nFrom there\n")))
    said = perl(
        shop,
        r"""
        ok($imap->create('there')); ok($imap->subscribe('there'));
        ok($imap->see(1)); ok($imap->mark(2)); ok($imap->set_flag('Arbeit', 1, 2)); ok($imap->unset_flag('Arbeit', 1));
        say_([sort $imap->flags(2)]);
        say_(ok($imap->copy('there', 1, 2)));
        say_(ok($imap->move('there', 3)));
        ok($imap->expunge);
        say_(ok($imap->append_file('there', $file, undef, '\\Seen \\Draft', 1)));
        say_(ok($imap->append_string('there', slurp($file), '\\Flagged', '01-Feb-2024 11:12:13 +0100')));
        ok($imap->delete_message(4, 5)); ok($imap->restore_message(5)); ok($imap->expunge);
        say_([$imap->folders]); say_([$imap->subscribed]); say_(ok($imap->message_count('there')));
        ok($imap->rename('there', 'elsewhere')); ok($imap->create('gone')); ok($imap->delete('gone'));
        say_($imap->exists('there') ? 1 : 0); say_($imap->exists('elsewhere') ? 1 : 0);
        say_($imap->is_parent('elsewhere') ? 1 : 0); say_($imap->has_capability('UIDPLUS') ? 1 : 0);
        """,
        str(new),
    )
    flags, copied, moved, *rest = said
    assert set(flags) - {"\\Recent"} == {"Arbeit", "\\Flagged"}
    assert str(copied) == "1,2" and str(moved) == "3"
    assert [str(value) for value in rest[:2]] == ["4", "5"]  # UIDs by APPENDUID
    assert sorted(rest[2]) == ["INBOX", "there"] and rest[3] == ["there"]
    assert int(rest[4]) == 5 and rest[5:] == [0, 1, 0, 1]
    quoted = mail("appended", b">From here\n\n>From there\n")  # as everything that reads an mbox wants it
    assert shop.mails() == [*CORPUS[:2], *CORPUS[4:]]
    assert shop.mails("elsewhere") == [CORPUS[0], CORPUS[1], CORPUS[2], quoted, quoted]
    assert shop.flags()["dots"] >= {"F", "Arbeit"} and "Arbeit" not in shop.flags()["plain"]


def test_idle_hears_of_a_delivery(shop):
    command = [need("perl"), "-e", PROLOGUE + IDLE, HOST, str(shop.imaps), str(shop.certificate), USER, PASSWORD]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert json.loads(process.stdout.readline()) == "idle"
        shop.deliver(mail("new"))
        heard = json.loads(process.stdout.readline())
        assert any(f"{len(CORPUS) + 1} EXISTS" in line for line in heard), heard
        assert json.loads(process.stdout.readline()) == [base64.b64encode(crlf(mail("new"))).decode()]
        assert process.wait(30) == 0
    assert shop.mails() == [*CORPUS, mail("new")]


IDLE = r"""
my $tag = ok($imap->idle);
say_('idle');
say_([$imap->idle_data(20)]);
ok($imap->done($tag));
say_([octets(ok($imap->message_string(($imap->messages)[-1])))]);
ok($imap->logout);
"""


def test_what_cannot_be_done(shop):
    said = perl(
        shop,
        r"""
        for my $try (sub { $imap->select('nowhere') }, sub { $imap->create('INBOX') }, sub { $imap->delete('nowhere') },
                     sub { $imap->append_string('nowhere', "a: b\n\nc\n") }, sub { $imap->copy('nowhere', 1) },
                     sub { $imap->rename('nowhere', 'x') }) {
            my $done = $try->(); say_([defined $done ? 1 : 0, $imap->LastError]);
            ok($imap->select('INBOX'));
        }
        say_([octets($imap->get_header(1, 'Nothing') // '-')]);
        """,
    )
    codes = ["NONEXISTENT", "ALREADYEXISTS", "NONEXISTENT", "TRYCREATE", "TRYCREATE", "NONEXISTENT"]
    for (done, why), code in zip(said[:-1], codes, strict=True):
        assert not done and f"NO [{code}]" in why, said

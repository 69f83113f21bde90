"""Decoding: right where it can be, and never an error."""

import base64
import quopri
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailcore.message import decode

# What UW's imapd announced in [BADCHARSET (...)], but for CN-GB-12345, which Python has not.
UW = """US-ASCII UTF-8 UTF-7 ISO-8859-1 ISO-8859-2 ISO-8859-3 ISO-8859-4 ISO-8859-5 ISO-8859-6 ISO-8859-7 ISO-8859-8
ISO-8859-9 ISO-8859-10 ISO-8859-11 ISO-8859-13 ISO-8859-14 ISO-8859-15 ISO-8859-16 KOI8-R KOI8-U KOI8-RU TIS-620
VISCII GBK GB2312 CN-GB ISO-2022-CN BIG5 CN-BIG5 BIG-5 ISO-2022-JP EUC-JP SHIFT_JIS SHIFT-JIS ISO-2022-JP-1
ISO-2022-JP-2 ISO-2022-KR EUC-KR KSC5601 KSC_5601 KS_C_5601-1987 KS_C_5601-1989 KS_C_5601-1992 KS_C_5601-1997
WINDOWS-874 CP874 WINDOWS-936 CP936 WINDOWS-949 CP949 X-WINDOWS-949 WINDOWS-1250 CP1250 WINDOWS-1251 CP1251
WINDOWS-1252 CP1252 WINDOWS-1253 CP1253 WINDOWS-1254 CP1254 WINDOWS-1255 CP1255 WINDOWS-1256 CP1256 WINDOWS-1257
CP1257 WINDOWS-1258 CP1258 IBM367 IBM437 IBM737 IBM775 IBM850 IBM852 IBM855 IBM857 IBM860 IBM861 IBM862 IBM863
IBM864 IBM865 IBM866 IBM869 IBM874 ANSI_X3.4-1968 UNICODE-1-1-UTF-7 UCS-2 UCS-4 UTF-16"""


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (b"plain", "plain"),
        (b"caf\xc3\xa9", "café"),
        (b"caf\xe9", "café"),
        (b"=?utf-8?B?w6k=?=", "é"),
        (b"=?UTF-8?q?=C3=A9_x=5F?=", "é x_"),
        (b"=?utf-8*en?Q?=C3=A9?= plain", "é plain"),
        (b"a =?utf-8?B?w6k=?= b", "a é b"),
        (b"=?utf-8?B?w6k=?= \t =?iso-8859-1?Q?=E9?=", "éé"),
        (b"=?utf-8?B?w6k=?==?utf-8?B?w6k=?=", "éé"),
        (b"=?utf-8?B?ww==?= =?utf-8?B?qQ==?=", "é"),
        (b"=?iso-2022-jp?B?GyRCNEE7eg==?= =?iso-2022-jp?B?GyRCNEE7ehsoQg==?=", "漢字漢字"),
        (b"=?x-none?Q?a=E9?=", "aé"),
        (b"=?utf-8?X?abc?=", "=?utf-8?X?abc?="),
        (b"=?utf-8?B?abc", "=?utf-8?B?abc"),
        (b"=?utf-8?Q?a b?=", "a b"),
        (b"=?utf-8?B?!!!!?=", ""),
        (b"=??Q?a?=", "=??Q?a?="),
    ],
)
def test_words(value, text):
    assert decode.words(value) == text


@pytest.mark.parametrize(
    ("data", "encoding", "plain"),
    [
        (b"YWJj", b"BASE64", b"abc"),
        (b"YW\r\nJj\n", b"base64", b"abc"),
        (b"YQ", b"BASE64", b"a"),
        (b"YQ==\nYg==", b"BASE64", b"ab"),
        (b"YWJjY", b"BASE64", b"abc"),
        (b"*Y*W*J*j*", b"BASE64", b"abc"),
        (b"====", b"BASE64", b""),
        (b"", b"BASE64", b""),
        (b"=C3=a9 =\r\nx=\ny=3D=zz_", b"QUOTED-PRINTABLE", b"\xc3\xa9 xy==zz_"),
        (b"a=", b"quoted-printable", b"a"),
        (b"=41", b"7BIT", b"=41"),
        (b"=41", b"X-WEIRD", b"=41"),
    ],
)
def test_transfer(data, encoding, plain):
    assert decode.transfer(data, encoding) == plain


@pytest.mark.parametrize(
    ("data", "name", "text"),
    [
        (b"\xe9", "iso-8859-1", "é"),
        (b"\xe9", "ISO_8859-1", "é"),
        (b"\xe9", ' "Windows-1252" ', "é"),
        (b"\xc3\xa9", "us-ascii", "é"),
        (b"\xe9", "us-ascii", "é"),
        (b"\xe9", "", "é"),
        (b"\xc3\xa9", "x-unknown", "é"),
        (b"\xe9x", "utf-8", "\ufffdx"),
        (b"\0a", "utf-16", "a"),
        (b"\xff\xfea\0", "utf-16", "a"),
        (b"\0a", "UCS-2", "a"),
        (b"\0\0\0a", "UCS-4", "a"),
        (b"Vi\xaet \x02", "viscii", "Việt Ẳ"),
        (b"\x1b$)A\x0eVPND\x0f x\n", "iso-2022-cn", "中文 x\n"),
        (b"+AOk-", "utf-7", "é"),
    ],
)
def test_charset(data, name, text):
    assert decode.charset(data, name) == text


@pytest.mark.parametrize("name", UW.split())
def test_charsets_of_uw_are_known(name):
    assert decode.known_charset(name)
    assert decode.known_charset(name.lower())


@pytest.mark.parametrize("name", ["", "x-unknown", "zip", "hex", "rot13", "idna", "punycode", "unicode_escape", "\0"])
def test_what_is_no_charset_is_not_known(name):
    assert not decode.known_charset(name)
    assert decode.charset(b"\\x41", name) == "\\x41"


@given(st.binary(), st.sampled_from(sorted(decode._CODECS)))
def test_charsets_are_total(data, name):
    assert len(decode.charset(data, name)) <= 4 * len(data)


@given(st.binary(), st.sampled_from([b"BASE64", b"quoted-printable", b"8bit"]))
def test_transfer_is_total(data, encoding):
    assert len(decode.transfer(data, encoding)) <= len(data)


WORD = st.lists(st.sampled_from([b"=?", b"?=", b"?", b"utf-8", b"Q", b"b", b"=", b"*", b"_", b" ", b"w6k=", b"\xe9"]))


@given(st.binary() | WORD.map(b"".join))
def test_words_are_total(value):
    assert len(decode.words(value)) <= len(value)


@given(st.binary())
def test_what_others_encode_we_decode(data):
    assert decode.transfer(base64.encodebytes(data), b"BASE64") == data
    assert decode.transfer(quopri.encodestring(data), b"QUOTED-PRINTABLE") == data


@pytest.mark.parametrize("piece", [b"=?", b"=?a?b?", b"?", b"=?utf-8?q?a?= ", b"=?utf-8?b?w6?=", b"=?x*", b"=", b"=a"])
def test_bombs(piece):
    bomb = piece * (1_000_000 // len(piece))
    start = time.process_time()
    decode.words(bomb)
    decode.transfer(bomb, b"BASE64")
    decode.transfer(bomb, b"QUOTED-PRINTABLE")
    assert time.process_time() - start < 1


@pytest.mark.parametrize("name", sorted(set(decode._CODECS.values())))
def test_charset_bombs(name):
    for octets in (b"\xff", b"\x1b$B", b"+", b"\x0e", b"a"):
        start = time.process_time()
        decode.charset(octets * (1_000_000 // len(octets)), name)
        assert time.process_time() - start < 1

"""Out of transfer encodings, charsets and encoded words, into text that can be compared.

What lives here: decoding for SEARCH, SORT and BINARY.  What does not: any encoding: we send
mail as it is stored.

Every function takes any bytes and gives a result of at most the input's size; what cannot be
decoded is kept as it is or replaced, as a search that fails because of one bad octet helps
nobody.  Only the charsets in the table are decoded: Python's codecs know names that are no
charsets and cost much more than their input.
"""

from __future__ import annotations

import re
from binascii import a2b_base64, a2b_qp

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

# --- charsets --------------------------------------------------------------------------

# Python's name for each charset that it has under another name than the MIME one; then the
# charsets that have the same name in both worlds, - for _.  UW knew the same ones.
_CODECS = {
    "us-ascii": "ascii",
    "ascii": "ascii",
    "ansi-x3.4-1968": "ascii",
    "646": "ascii",
    "ibm367": "ascii",
    "utf8": "utf-8",
    "unicode-1-1-utf-8": "utf-8",
    "unicode-1-1-utf-7": "utf-7",
    "ucs-2": "utf-16-be",
    "iso-10646-ucs-2": "utf-16-be",
    "ucs-4": "utf-32-be",
    "iso-10646-ucs-4": "utf-32-be",
    "latin1": "latin-1",
    "iso-8859-8-i": "iso-8859-8",
    "iso-8859-8-e": "iso-8859-8",
    "iso-8859-6-i": "iso-8859-6",
    "windows-874": "cp874",
    "iso-8859-11": "tis-620",
    "windows-31j": "cp932",
    "windows-932": "cp932",
    "windows-936": "gbk",
    "windows-949": "cp949",
    "windows-950": "cp950",
    "x-sjis": "shift-jis",
    "sjis": "shift-jis",
    "x-euc-jp": "euc-jp",
    "x-gbk": "gbk",
    "cn-gb": "gb2312",
    "gb2312": "gb18030",
    "euc-cn": "gb2312",
    "cn-big5": "big5",
    "x-big5": "big5",
    "big-5": "big5",
    "big5-hkscs": "big5hkscs",
    "iso-2022-cn": "iso-2022-cn",
    "ksc5601": "cp949",
    "ksc-5601": "cp949",
    "x-windows-949": "cp949",
    "koi8-ru": "koi8-u",
    "macintosh": "mac-roman",
    "viscii": "viscii",
}
_CODECS |= {f"ks-c-5601-{year}": "cp949" for year in (1987, 1989, 1992, 1997)}
_SAME_NAME = """utf-8 utf-7 utf-16 utf-16le utf-16be utf-16-le utf-16-be utf-32 utf-32le utf-32be
    iso-8859-1 iso-8859-2 iso-8859-3 iso-8859-4 iso-8859-5 iso-8859-6 iso-8859-7 iso-8859-8 iso-8859-9 iso-8859-10
    iso-8859-13 iso-8859-14 iso-8859-15 iso-8859-16 koi8-r koi8-u koi8-t tis-620 kz1048 ptcp154
    euc-jp euc-kr shift-jis big5 gbk gb18030 hz-gb-2312 johab
    iso-2022-jp iso-2022-jp-1 iso-2022-jp-2 iso-2022-jp-3 iso-2022-jp-ext iso-2022-kr
    mac-roman mac-cyrillic mac-greek mac-turkish mac-latin2"""
_CODECS |= {name: name for name in _SAME_NAME.split()}
for _page in (437, 720, 737, 775, 850, 852, 855, 857, 858, *range(860, 867), 869, 874, 932, 936, 949, 950, 1125):
    _CODECS |= {f"ibm{_page}": f"cp{_page}", f"cp{_page}": f"cp{_page}"}
for _page in range(1250, 1259):
    _CODECS |= {f"windows-{_page}": f"cp{_page}", f"cp{_page}": f"cp{_page}"}

# RFC 1456: Vietnamese; below 0x80 six controls became letters.
_VISCII_LOW = {0x02: "Ẳ", 0x05: "Ẵ", 0x06: "Ẫ", 0x14: "Ỷ", 0x19: "Ỹ", 0x1E: "Ỵ"}
_VISCII_HIGH = (
    "ẠẮẰẶẤẦẨẬẼẸẾỀỂỄỆỐỒỔỖỘỢỚỜỞỊỎỌỈỦŨỤỲÕắằặấầẩậẽẹếềểễệốồổỗỠƠộờởịỰỨỪỬơớƯ"
    "ÀÁÂÃẢĂẳẵÈÉÊẺÌÍĨỳĐứÒÓÔạỷừửÙÚỹỵÝỡưàáâãảăữẫèéêẻìíĩỉđựòóôõỏọụùúũủýợỮ"
)


def known_charset(name: str) -> bool:
    """Can text in this charset be decoded?"""
    return _codec(name) is not None


def charset(data: bytes, name: str) -> str:
    """Text of this charset; an unknown one is taken for UTF-8 if it can be, else for Latin-1."""
    codec = _codec(name)
    if codec is None or codec == "ascii":
        return _guessed(data)
    if codec == "utf-16" and data[:2] not in (b"\xff\xfe", b"\xfe\xff"):
        codec = "utf-16-be"  # RFC 2781 §4.3
    if codec == "viscii":
        return data.decode("latin-1").translate(_VISCII)
    if codec == "iso-2022-cn":
        data, codec = _ISO_2022_CN.sub(_shifted, data), "gb2312"
    try:
        return data.decode(codec, "replace")
    except (ValueError, LookupError):  # a codec with a mistake of its own, or a Python built without it
        return _guessed(data)


def _codec(name: str) -> str | None:
    """Python's name for a charset, if we take it."""
    return _CODECS.get(name.strip(" \t\"'").lower().replace("_", "-"))


def _guessed(data: bytes) -> str:
    try:
        return data.decode("utf-8")
    except ValueError:
        return data.decode("latin-1")


# RFC 1922 §3.1, of which only the GB 2312 part is in use.
_ISO_2022_CN = re.compile(rb"\x1b\$\)A|\x0e([^\x0e\x0f\n]*+)\x0f?")
_HIGH = bytes(octet | 0x80 if octet > 0x20 else octet for octet in range(256))


def _shifted(found: re.Match[bytes]) -> bytes:
    return (found[1] or b"").translate(_HIGH)


_VISCII = {**_VISCII_LOW, **{0x80 + index: letter for index, letter in enumerate(_VISCII_HIGH)}}


# --- encodings -------------------------------------------------------------------------

_BASE64 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_NOT_BASE64 = bytes(octet for octet in range(256) if octet not in _BASE64)
_NOT_BASE64_OR_END = bytes(octet for octet in _NOT_BASE64 if octet != ord("="))


def transfer(data: bytes, encoding: bytes) -> bytes:
    """What was encoded (RFC 2045 §6); unknown encodings are left as they are."""
    encoding = encoding.upper()
    if encoding == b"QUOTED-PRINTABLE":
        return a2b_qp(data)
    return _base64(data) if encoding == b"BASE64" else data


def _base64(data: bytes) -> bytes:
    """Base64 with anything between; after padding a new piece begins, as when two were joined."""
    data = data.translate(None, _NOT_BASE64_OR_END)
    return b"".join(_base64_piece(piece) for piece in data.split(b"=") if piece)


def _base64_piece(piece: bytes) -> bytes:
    if len(piece) % 4 == 1:  # six bits are no octet
        piece = piece[:-1]
    return a2b_base64(piece + b"=" * (-len(piece) % 4))


def transferred(pieces: Iterable[bytes], encoding: bytes) -> Iterator[bytes]:
    """The same for a text that comes in pieces, and is held in none."""
    encoding = encoding.upper()
    if encoding == b"BASE64":
        return _base64_pieces(pieces)
    return _quoted_pieces(pieces) if encoding == b"QUOTED-PRINTABLE" else iter(pieces)


def _base64_pieces(pieces: Iterable[bytes]) -> Iterator[bytes]:
    held = b""
    for piece in pieces:
        *ended, open_ = (held + piece.translate(None, _NOT_BASE64_OR_END)).split(b"=")
        whole = len(open_) - len(open_) % 4
        held = open_[whole:]
        yield b"".join([_base64_piece(run) for run in ended if run]) + a2b_base64(open_[:whole])
    yield _base64_piece(held)


def _quoted_pieces(pieces: Iterable[bytes]) -> Iterator[bytes]:
    held = b""
    for piece in pieces:
        data = held + piece
        start = data.rfind(b"=", max(len(data) - 2, 0))  # what it means stands in the next piece
        data, held = (data, b"") if start < 0 else (data[:start], data[start:])
        yield a2b_qp(data)
    yield a2b_qp(held)


# --- encoded words ---------------------------------------------------------------------

# Lax: blanks in the text of a word are forbidden, and seen.
_WORD = re.compile(rb"=\?([^?*\s]{1,60})(?:\*[^?\s]{0,60})?\?([bBqQ])\?([^?]*+)\?=")


def words(value: bytes) -> str:
    """A header field with its encoded words decoded (RFC 2047); other octets as UTF-8 or Latin-1.

    White space between two words goes (§6.2); two of one charset are decoded together, as
    some programs cut a character in half.
    """
    if b"=?" not in value:
        return _guessed(value)
    pieces: list[tuple[str, list[bytes]]] = []  # charset ("" for what is not encoded), octets
    end = 0
    for found in _WORD.finditer(value):
        between = value[end : found.start()]
        if between and not (pieces and between.isspace()):
            pieces.append(("", [between]))
        name = found[1].decode("latin-1").lower()
        if not pieces or pieces[-1][0] != name or name.startswith("iso-2022"):  # that one starts afresh
            pieces.append((name, []))
        pieces[-1][1].append(_word(found[2], found[3]))
        end = found.end()
    pieces.append(("", [value[end:]]))
    return "".join(charset(b"".join(octets), name) for name, octets in pieces)


def _word(encoding: bytes, text: bytes) -> bytes:
    """The octets of one word (RFC 2047 §4)."""
    if encoding in b"bB":
        return _base64(text)
    return a2b_qp(text, header=True)

"""What some bytes are by how they begin, beside what their sender called them."""

from __future__ import annotations

import re

_BEGINNINGS = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"%PDF-", "application/pdf"),
    (b"fLaC", "audio/flac"),
    (b"ID3", "audio/mpeg"),
    (b"II*\0", "image/tiff"),
    (b"MM\0*", "image/tiff"),
    (b"PK\x03\x04", "application/zip"),
)
_RIFF = {b"WEBP": "image/webp", b"WAVE": "audio/wav", b"AVI ": "video/x-msvideo"}
#: Brands of ISO base media files; all others are video.
_BRANDS = {
    b"avif": "image/avif",
    b"avis": "image/avif",
    b"heic": "image/heic",
    b"heix": "image/heic",
    b"mif1": "image/heic",
    b"M4A ": "audio/mp4",
    b"M4B ": "audio/mp4",
    b"qt  ": "video/quicktime",
}
#: One container, several names: what the sender says tells more than the first bytes.
_SAME_CONTAINER = (
    frozenset({"video/mp4", "audio/mp4", "audio/m4a", "audio/x-m4a", "video/x-m4v"}),
    frozenset({"video/webm", "audio/webm"}),
    frozenset({"audio/ogg", "video/ogg", "audio/opus", "application/ogg"}),
)
_ALIASES = {
    "image/jpg": "image/jpeg",
    "image/pjpeg": "image/jpeg",
    "image/x-png": "image/png",
    "audio/mp3": "audio/mpeg",
    "audio/mpeg3": "audio/mpeg",
    "audio/wave": "audio/wav",
    "audio/x-wav": "audio/wav",
    "audio/vnd.wave": "audio/wav",
    "audio/x-flac": "audio/flac",
    "audio/m4a": "audio/mp4",
    "audio/x-m4a": "audio/mp4",
    "audio/pcm16": "audio/pcm",
    "application/x-pdf": "application/pdf",
}
#: Formats that can be told from their bytes: where those tell otherwise, the name is wrong.
_TOLD_BY_BYTES = frozenset(
    {
        *(kind for _, kind in _BEGINNINGS),
        *_RIFF.values(),
        *_BRANDS.values(),
        *(kind for kinds in _SAME_CONTAINER for kind in kinds),
    }
)
#: Kinds of ZIP archives have names of their own.
_ZIP_NAMES = ("application/vnd.", "application/epub+zip", "application/java-archive")
UNKNOWN = "application/octet-stream"
_UNKNOWN_LENGTH = 2**31
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0e-\x1f\x7f]")

_MP3_KBITS = (
    (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
)
_MP3_HERTZ = {3: (44_100, 48_000, 32_000), 2: (22_050, 24_000, 16_000), 0: (11_025, 12_000, 8_000)}


def sniff(data: bytes) -> str:
    """Return the media type that bytes show by how they begin, empty where they show none."""
    for beginning, kind in _BEGINNINGS:
        if data.startswith(beginning):
            return kind
    if data[:4] == b"RIFF":
        return _RIFF.get(data[8:12], "")
    if data[4:8] == b"ftyp":
        return _BRANDS.get(data[8:12], "video/mp4")
    if data[:4] == b"OggS":
        return "video/ogg" if b"theora" in data[:64] else "audio/ogg"
    if data[:4] == b"\x1aE\xdf\xa3":
        return "video/webm" if b"webm" in data[:64] else "video/x-matroska"
    if data[:2] == b"BM" and int.from_bytes(data[2:6], "little") == len(data):
        return "image/bmp"
    return "audio/mpeg" if _is_mp3(data) else ""


def _is_mp3(data: bytes) -> bool:
    """Tell whether a frame of MPEG layer III begins here and the next one where it ends: two bytes alone say little."""
    length = _mp3_frame_bytes(data[:4])
    return length > 0 and _mp3_frame_bytes(data[length : length + 4]) > 0


def _mp3_frame_bytes(header: bytes) -> int:
    if len(header) < 4 or header[0] != 0xFF or header[1] & 0xE6 != 0xE2:
        return 0
    version, rate, speed = header[1] >> 3 & 3, header[2] >> 4, header[2] >> 2 & 3
    if version not in _MP3_HERTZ or not 0 < rate < 15 or speed == 3:
        return 0
    kbits = _MP3_KBITS[0 if version == 3 else 1][rate]
    samples = 144 if version == 3 else 72
    return samples * kbits * 1000 // _MP3_HERTZ[version][speed] + (header[2] >> 1 & 1)


def settle_type(said: str, shown: str, data: bytes) -> str:
    """Return what bytes are to be called: what they show, else what their sender says where that can be true.

    ``said`` is a media type in lower case or empty, ``shown`` what ``sniff`` found.
    """
    said = _ALIASES.get(said, said)
    if shown:
        if shown == "application/zip" and said.startswith(_ZIP_NAMES):
            return said
        same = any(said in kinds and shown in kinds for kinds in _SAME_CONTAINER)
        return said if same else shown
    if said in _TOLD_BY_BYTES or said == "image/bmp":
        return UNKNOWN
    if said == "text/plain" and not is_text(data):
        return UNKNOWN
    return said


def is_text(data: bytes) -> bool:
    """Tell whether bytes are UTF-8 text without control characters other than white space."""
    try:
        return _CONTROL.search(data.decode()) is None
    except UnicodeDecodeError:
        return False


def is_whole(kind: str, data: bytes) -> bool:
    """Tell whether bytes of a kind that ``sniff`` found end as it does; true for kinds that have no such mark."""
    if kind == "image/png":
        return b"IEND" in data[-64:]
    if kind == "image/jpeg":
        return b"\xff\xd9" in data[-64:]
    if kind == "image/gif":
        return b";" in data[-64:]
    if data[:4] == b"RIFF":
        length = int.from_bytes(data[4:8], "little")
        return length <= len(data) or length > _UNKNOWN_LENGTH  # as streamed sound has it
    return True

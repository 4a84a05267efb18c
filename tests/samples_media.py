"""Small media files made by hand, real enough to be opened."""

from __future__ import annotations

import base64
import math
import struct
import wave
import zlib
from hashlib import sha256, shake_256
from io import BytesIO


def png(width: int = 48, height: int = 40, seed: int = 1) -> bytes:
    """Return a PNG in colours that compress badly: some kilobytes."""
    line = width * 3
    noise = shake_256(str(seed).encode()).digest(line * height)
    rows = b"".join(b"\0" + noise[start : start + line] for start in range(0, len(noise), line))
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", head), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )


def wav(seconds: float = 0.25) -> bytes:
    """Return a tone as a WAV file of 8 kHz, 16 bit."""
    out = BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        tone = (round(8000 * math.sin(n * 2 * math.pi * 440 / 8000)) for n in range(round(8000 * seconds)))
        file.writeframes(b"".join(struct.pack("<h", value) for value in tone))
    return out.getvalue()


def mp3(frames: int = 12) -> bytes:
    """Return silent frames of MPEG 1 layer III, 128 kbit/s at 44.1 kHz."""
    return (b"\xff\xfb\x90\x00" + b"\0" * 413) * frames


def pdf() -> bytes:
    """Return what begins and ends like a PDF."""
    return b"%PDF-1.7\n" + b"1 0 obj << /Type /Catalog >> endobj\n" * 60 + b"%%EOF\n"


def b64(data: bytes) -> str:
    """Return bytes in base64."""
    return base64.b64encode(data).decode()


def address(data: bytes, kind: str = "image/png") -> str:
    """Return bytes as a ``data:`` address."""
    return f"data:{kind};base64,{b64(data)}"


def uri(data: bytes) -> str:
    """Return the address under which a part refers to these bytes once they are stored."""
    return f"spanhouse-blob:sha256/{sha256(data).hexdigest()}"

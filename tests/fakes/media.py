"""Large media out of seeded noise: the same bytes on every machine, and real enough for every client to take them.

Nothing here depends on a compressor, whose output differs between versions: the PNG holds its rows as they are.
"""

from __future__ import annotations

import struct
from functools import cache
from hashlib import sha256, shake_256
from zlib import adler32, crc32

#: By name, what applications send (image, sound, paper) and what the provider answers with. New ones go to the front:
#: ``tests.golden.media.pack`` says why.
NAMES = ("spoken.pcm", "image.png", "sound.wav", "paper.pdf", "drawn.png", "spoken.wav")
_BLOCK = 65_535


@cache
def file(name: str) -> bytes:
    """Return one of ``NAMES``: 300 kB of image, 200 kB of sound, a small paper; small ones of the provider."""
    made = {
        "image.png": lambda: noise_png(320, 312, name),
        "sound.wav": lambda: noise_wav(200_000, name),
        "paper.pdf": lambda: paper(),
        "drawn.png": lambda: noise_png(96, 96, name),
        "spoken.wav": lambda: noise_wav(24_000, name),
        "spoken.pcm": lambda: shake_256(name.encode()).digest(24_000),
    }
    return made[name]()


def hash_of(name: str) -> str:
    """Return the SHA-256 (hex) of a file."""
    return sha256(file(name)).hexdigest()


def noise_png(width: int, height: int, seed: str) -> bytes:
    """Return a PNG of noise; its rows are stored, not compressed."""
    line = width * 3
    noise = shake_256(seed.encode()).digest(line * height)
    rows = b"".join(b"\0" + noise[at : at + line] for at in range(0, len(noise), line))
    stored = [rows[at : at + _BLOCK] for at in range(0, len(rows), _BLOCK)]
    packed = b"\x78\x01"
    for number, block in enumerate(stored, 1):
        packed += struct.pack("<BHH", number == len(stored), len(block), len(block) ^ 0xFFFF) + block
    packed += struct.pack(">I", adler32(rows))
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", head), (b"IDAT", packed), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", crc32(kind + data)) for kind, data in chunks
    )


def noise_wav(size_bytes: int, seed: str) -> bytes:
    """Return noise as a WAV file of 16 kHz, 16 bit, with so many bytes of samples."""
    head = b"RIFF" + struct.pack("<I", 36 + size_bytes) + b"WAVEfmt "
    head += struct.pack("<IHHIIHH", 16, 1, 1, 16_000, 32_000, 2, 16) + b"data" + struct.pack("<I", size_bytes)
    return head + shake_256(seed.encode()).digest(size_bytes)


def paper() -> bytes:
    """Return a PDF of one page with some lines of text."""
    lines = "".join(f"(Line {number} of a short paper about spans.) Tj 0 -14 Td\n" for number in range(1, 41))
    content = f"BT /F1 12 Tf 60 780 Td\n{lines}ET".encode()
    objects = (
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R"
        b" /Resources << /Font << /F1 5 0 R >> >> >>",
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(content), content),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    )
    body, places = b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n", []
    for number, each in enumerate(objects, 1):
        places.append(len(body))
        body += b"%d 0 obj\n%s\nendobj\n" % (number, each)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    end = b"trailer << /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, len(body))
    return body + b"xref\n0 %d\n0000000000 65535 f \n%s%s" % (len(objects) + 1, table, end)

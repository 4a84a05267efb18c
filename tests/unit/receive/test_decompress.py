"""Content encodings, whole, in crumbs, broken, and as bombs."""

import gzip
import subprocess
import sys
import zlib
from pathlib import Path

import pytest

from spanhouse_server.errors import BodyTooLarge, UndecodableBody, UnsupportedMediaType
from spanhouse_server.receive.decompress import ZSTD_WINDOW_LOG_MAX, Unpacking, zstd
from tests.unit.receive.bombs import zstd_zeros

TEXT = b"".join(b"%d bottles of beer on the wall; " % count for count in range(20_000))
LIMIT = 20 * 1024 * 1024


def raw_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(data) + packer.flush()


PACKERS = {
    "gzip": gzip.compress,
    "x-gzip": gzip.compress,
    "deflate": zlib.compress,
    "zstd": zstd.compress,
    "identity": bytes,
    "": bytes,
    "GZIP": gzip.compress,
    "identity, gzip": gzip.compress,
}


def unpack(data: bytes, encoding: str | None, step: int = 65536, limit: int = LIMIT) -> bytes:
    unpacking = Unpacking(encoding, limit)
    for begin in range(0, len(data), step):
        for _ in unpacking.add(data[begin : begin + step]):
            pass
    return unpacking.body()


@pytest.mark.parametrize("step", [1, 7, 65536])
@pytest.mark.parametrize("encoding", PACKERS)
def test_every_encoding_in_pieces_of_any_size(encoding: str, step: int) -> None:
    text = TEXT if step > 1 else TEXT[:5000]
    assert unpack(PACKERS[encoding](text), encoding, step) == text


@pytest.mark.parametrize("step", [1, 65536])
def test_deflate_without_its_wrapper(step: int) -> None:
    assert unpack(raw_deflate(TEXT[:9000]), "deflate", step) == TEXT[:9000]


@pytest.mark.parametrize(("encoding", "pack"), [("gzip", gzip.compress), ("zstd", zstd.compress)])
def test_members_one_after_another(encoding: str, pack) -> None:
    for step in (1, 65536):
        assert unpack(pack(b"one ") + pack(b"two ") + pack(b"three"), encoding, step) == b"one two three"


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "zstd", "identity", None])
def test_empty_body_is_empty_in_any_encoding(encoding: str | None) -> None:
    assert unpack(b"", encoding) == b""


@pytest.mark.parametrize("keep", [1, 5, 0.5, -8, -1])
@pytest.mark.parametrize("encoding", ["gzip", "deflate", "zstd"])
def test_cut_off_bodies(encoding: str, keep: float) -> None:
    packed = PACKERS[encoding](TEXT)
    cut = packed[: int(len(packed) * keep)] if isinstance(keep, float) else packed[:keep]
    with pytest.raises(UndecodableBody):
        unpack(cut, encoding)


@pytest.mark.parametrize("data", [b"plain text is not packed", b"{}", b"\x00" * 100, b"\xff" * 100, TEXT])
@pytest.mark.parametrize("encoding", ["gzip", "deflate", "zstd"])
def test_bodies_that_are_not_packed(encoding: str, data: bytes) -> None:
    with pytest.raises(UndecodableBody):
        unpack(data, encoding)


def test_damaged_checksum() -> None:
    packed = bytearray(gzip.compress(TEXT))
    packed[-6] ^= 0xFF
    with pytest.raises(UndecodableBody):
        unpack(bytes(packed), "gzip")


def test_data_after_deflate_is_refused() -> None:
    with pytest.raises(UndecodableBody, match="after the end"):
        unpack(zlib.compress(b"x") + b"more", "deflate")


@pytest.mark.parametrize("encoding", ["br", "snappy", "gzip, deflate", "gzip,gzip", "lz4", "zstd,gzip"])
def test_unknown_and_stacked_encodings_are_refused(encoding: str) -> None:
    with pytest.raises(UnsupportedMediaType) as caught:
        Unpacking(encoding, LIMIT)
    assert "zstd" in caught.value.hint


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "zstd", "identity"])
def test_the_limit_is_exact(encoding: str) -> None:
    packed = PACKERS[encoding](b"a" * 1000)
    assert len(unpack(packed, encoding, limit=1000)) == 1000
    with pytest.raises(BodyTooLarge):
        unpack(packed, encoding, limit=999)


def test_endless_empty_members_are_refused() -> None:
    empty = gzip.compress(b"")
    with pytest.raises(BodyTooLarge):
        unpack(empty * (1024 * 1024 // len(empty) + 1), "gzip", limit=1024 * 1024)


def test_zstd_windows_above_the_standard_are_refused() -> None:
    packer = zstd.ZstdCompressor(options={zstd.CompressionParameter.window_log: ZSTD_WINDOW_LOG_MAX + 2})
    packed = packer.compress(TEXT * 40) + packer.flush()
    with pytest.raises(UndecodableBody, match="8 MiB"):
        unpack(packed, "zstd", limit=10 * LIMIT)


READER = """
import sys
from spanhouse_server.errors import BodyTooLarge
from spanhouse_server.receive.decompress import Unpacking

def peak_kib():
    # ru_maxrss would carry over the peak of the process that forked this one.
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))

def send(path, kind, limit):
    unpacking = Unpacking(kind, limit)
    with open(path, "rb") as bomb:
        while chunk := bomb.read(65536):
            for _ in unpacking.add(chunk):
                pass

send(sys.argv[3], sys.argv[1], 1000)
before_kib = peak_kib()
try:
    send(sys.argv[2], sys.argv[1], 20 << 20)
except BodyTooLarge:
    print(peak_kib() - before_kib)
else:
    sys.exit("the bomb was taken for a body")
"""


def bomb(kind: str) -> bytes:
    """Return 10 GiB of zeros, packed."""
    if kind == "zstd":
        return zstd_zeros(10 << 30)
    zeros = bytes(64 << 20)
    raw = zlib.compressobj(1, wbits=-15)
    # After a full flush nothing refers back, so the same packed bytes may be repeated.
    piece = raw.compress(zeros) + raw.flush(zlib.Z_FULL_FLUSH)
    head = b"\x78\x01" if kind == "deflate" else gzip.compress(b"")[:10]
    return head + piece * 160


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="measures by /proc")
@pytest.mark.parametrize("kind", ["zstd", "gzip", "deflate"])
def test_a_bomb_costs_no_more_than_the_limit(kind: str, tmp_path: Path) -> None:
    (tmp_path / "bomb").write_bytes(bomb(kind))
    (tmp_path / "small").write_bytes(PACKERS[kind](b"x"))
    done = subprocess.run(
        [sys.executable, "-c", READER, kind, tmp_path / "bomb", tmp_path / "small"],
        capture_output=True,
        text=True,
        env={"PYTHONPATH": ":".join(sys.path)},
        check=True,
        timeout=120,
    )
    grown_mib = int(done.stdout) / 1024
    print(f"{kind}: {(tmp_path / 'bomb').stat().st_size} bytes packed, {grown_mib:.1f} MiB grown")
    assert 15 <= grown_mib <= 24, "a limit of 20 MiB must show, and not be passed"

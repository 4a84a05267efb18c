import { describe, expect, it } from "vitest";
import { lookOf, mediaIn, storedOf } from "./media";

const HASH = "ab".repeat(32);
const URI = `spanhouse-blob:sha256/${HASH}`;

describe("storedOf", () => {
  it("reads the address of a part", () => {
    expect(storedOf(URI, 1234, true)).toEqual({ hash: HASH, sizeBytes: 1234, truncated: true });
    expect(storedOf(`${URI}?size_bytes=1`, undefined, undefined)).toEqual({ hash: HASH, sizeBytes: null, truncated: false });
    expect(storedOf(`spanhouse-blob:sha256/${HASH.slice(0, 33)}`, undefined, undefined)?.hash).toHaveLength(33);
  });
  it.each(["https://x/y.png", "spanhouse-blob:sha256/../../keys", "spanhouse-blob:sha256/", "data:image/png;base64,AAAA"])("takes %s for none", (uri) => {
    expect(storedOf(uri, 1, false)).toBeNull();
  });
});

describe("lookOf", () => {
  it.each([
    ["image/png", "image"],
    ["IMAGE/JPEG", "image"],
    ["audio/wav", "audio"],
    ["audio/mpeg; rate=1", "audio"],
    ["video/webm", "video"],
    ["image/svg+xml", "file"],
    ["audio/pcm", "file"],
    ["text/html", "file"],
    ["application/pdf", "file"],
    ["constructor/png", "file"],
    ["", "file"],
  ])("shows %s as %s", (mime, look) => {
    expect(lookOf(mime)).toBe(look);
  });
});

describe("mediaIn", () => {
  it("finds references anywhere, each once", () => {
    const value = { content: [{ data: `${URI}?size_bytes=12&type=image/png` }, { deep: [`see ${URI}?size_bytes=12&type=image/png, please`] }], n: 1, none: null };
    expect(mediaIn(value)).toEqual([{ mime: "image/png", stored: { hash: HASH, sizeBytes: 12, truncated: false } }]);
  });
  it("reads a reference in text, and one that was cut", () => {
    expect(mediaIn(`${URI}?size_bytes=9&cut=1`)).toEqual([{ mime: "application/octet-stream", stored: { hash: HASH, sizeBytes: 9, truncated: true } }]);
  });
  it("stops in time", () => {
    const many = Array.from({ length: 50 }, (_, n) => `spanhouse-blob:sha256/${String(n).padStart(2, "0").repeat(32)}`);
    expect(mediaIn(many)).toHaveLength(20);
    let deep: unknown = URI;
    for (let n = 0; n < 30_000; n++) deep = [deep];
    expect(mediaIn(deep)).toEqual([]);
    expect(mediaIn(undefined)).toEqual([]);
  });
});

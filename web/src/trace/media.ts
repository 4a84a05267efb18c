/** Media of a message: what a part or a reference says of them, and how they may be shown. */

/** Media that lie apart from their span, under the hash of their bytes. */
export interface Stored {
  hash: string;
  /** Null where only another system's id of them is known. */
  sizeBytes: number | null;
  /** The sender's limit had cut them. */
  truncated: boolean;
}

export type Look = "image" | "audio" | "video" | "file";

const SCHEME = "spanhouse-blob:sha256/";
const REFERENCE = /spanhouse-blob:sha256\/([0-9a-f]{32,64})(?:\?size_bytes=(\d{1,12})(?:&type=([a-z0-9.+-]+\/[a-z0-9.+-]+))?(&cut=1)?)?/g;
/** Types that the server serves to be shown; all else is only offered to be saved. */
const SHOWN: Record<Exclude<Look, "file">, string[]> = {
  image: ["png", "jpeg", "jpg", "gif", "webp", "avif", "bmp"],
  audio: ["wav", "wave", "x-wav", "mpeg", "mp3", "ogg", "opus", "flac", "x-flac", "mp4", "m4a", "webm"],
  video: ["mp4", "webm", "ogg"],
};

/** Reads the address of a stored part; null for any other address. */
export function storedOf(uri: string, sizeBytes: unknown, truncated: unknown): Stored | null {
  if (!uri.startsWith(SCHEME)) return null;
  const hash = uri.slice(SCHEME.length).split("?")[0];
  return /^[0-9a-f]{32,64}$/.test(hash) ? { hash, sizeBytes: typeof sizeBytes === "number" ? sizeBytes : null, truncated: truncated === true } : null;
}

/** How media of a type are shown. */
export function lookOf(mime: string): Look {
  const [kind, rest] = mime.toLowerCase().split(/[;/]/);
  const look = kind === "image" || kind === "audio" || kind === "video" ? kind : "file";
  return look !== "file" && SHOWN[look].includes((rest ?? "").trim()) ? look : "file";
}

export interface Found {
  mime: string;
  stored: Stored;
}

/** Finds references to stored media in any value, a tool's result say; each once, at most `most`. */
export function mediaIn(value: unknown, most = 20): Found[] {
  const found = new Map<string, Found>();
  const waiting: unknown[] = [value];
  // Wide rather than deep: a value of any depth must not exhaust the stack.
  for (let looked = 0; waiting.length && looked < 20_000 && found.size < most; looked++) {
    const one = waiting.shift();
    if (typeof one === "string") {
      if (one.includes(SCHEME)) for (const [, hash, size, mime, cut] of one.matchAll(REFERENCE)) add(found, hash, size, mime, cut);
    } else if (typeof one === "object" && one !== null) {
      waiting.push(...Object.values(one).slice(0, 1000));
    }
  }
  return [...found.values()].slice(0, most);
}

function add(found: Map<string, Found>, hash: string, size: string | undefined, mime: string | undefined, cut: string | undefined): void {
  found.set(hash, { mime: mime ?? "application/octet-stream", stored: { hash, sizeBytes: size ? Number(size) : null, truncated: cut !== undefined } });
}

/**
 * JSON whose whole numbers keep their digits. An attribute may be any 64-bit integer (the id of a message, say), of which
 * a browser's numbers hold the first 53 bits: what does not fit becomes a text, as OTLP's own JSON writes it.
 */

/** A text or a whole number token; texts come first, so that digits inside of them are left alone. */
const TOKEN = /"(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*/g;
/** Shorter ones always fit. */
const LONG_INTEGER = /^-?\d{16,}$/;

/** Reads JSON; integers beyond what a number holds exactly become texts. */
export function parseExactly(text: string): unknown {
  return JSON.parse(text.replace(TOKEN, (token) => (LONG_INTEGER.test(token) && !Number.isSafeInteger(Number(token)) ? `"${token}"` : token)));
}

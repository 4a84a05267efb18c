/**
 * JSON whose whole numbers keep their digits. An attribute may be any 64-bit integer (the id of a message, say), of which
 * a browser's numbers hold the first 53 bits: what does not fit becomes a text, as OTLP's own JSON writes it.
 */

/** Shorter whole numbers always fit. */
const LONG = /\d{16}/;
const NUMBER = /-?\d[\d.eE+-]*/g;
const LONG_INTEGER = /^-?\d{16,}$/;

/** Reads JSON; integers beyond what a number holds exactly become texts. */
export function parseExactly(text: string): unknown {
  return JSON.parse(LONG.test(text) ? withLongIntegersQuoted(text) : text);
}

/** Looks between the texts only. Not one pattern over all of it: on a text of megabytes that runs out of stack. */
function withLongIntegersQuoted(text: string): string {
  const pieces: string[] = [];
  let from = 0;
  while (from < text.length) {
    const opening = text.indexOf('"', from);
    if (opening < 0) {
      pieces.push(quoted(text.slice(from)));
      break;
    }
    const end = endOfText(text, opening);
    pieces.push(quoted(text.slice(from, opening)), text.slice(opening, end));
    from = end;
  }
  return pieces.join("");
}

function quoted(between: string): string {
  if (!LONG.test(between)) return between;
  return between.replace(NUMBER, (token) => (LONG_INTEGER.test(token) && !Number.isSafeInteger(Number(token)) ? `"${token}"` : token));
}

/** The index behind the quote that closes the text opened at `opening`. */
function endOfText(text: string, opening: number): number {
  for (let quote = text.indexOf('"', opening + 1); quote >= 0; quote = text.indexOf('"', quote + 1)) {
    let before = quote - 1;
    while (text[before] === "\\") before--;
    if ((quote - before) % 2 === 1) return quote + 1;
  }
  return text.length;
}

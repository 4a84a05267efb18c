/** Markdown from strangers: parsed, cleaned, and with nothing that loads from elsewhere. A lazy chunk. */
import DOMPurify from "dompurify";
import { Marked } from "marked";
import { useMemo } from "preact/hooks";
import { LongText } from "./LongText";

/** Longer texts are shown as they are: parsing them would hold up the page. */
const MOST = 60_000;

const ALLOWED = [
  "a", "b", "blockquote", "br", "code", "del", "em", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "i", "li", "ol", "p",
  "pre", "s", "strong", "sub", "sup", "table", "tbody", "td", "th", "thead", "tr", "ul",
];

const marked = new Marked({
  gfm: true,
  breaks: true,
  renderer: {
    // HTML in a model's answer is something it wrote, not something to be: it shows as text.
    html: ({ text }) => escapeHtml(text),
    // Pictures would be fetched from wherever the text says, and tell that the trace was opened.
    image: ({ text, href }) => `<a href="${escapeHtml(href)}">${escapeHtml(text || href)}</a>`,
  },
});

/** Turns markdown into HTML that holds no scripts, styles, forms, frames or pictures. */
export function cleanMarkdown(text: string): string {
  const html = marked.parse(text, { async: false });
  const clean = DOMPurify.sanitize(html, { ALLOWED_TAGS: ALLOWED, ALLOWED_ATTR: ["href", "start", "align"], RETURN_DOM_FRAGMENT: true });
  for (const link of clean.querySelectorAll("a")) {
    if (!/^(https?:|mailto:)/i.test(link.getAttribute("href") ?? "")) link.removeAttribute("href");
    link.setAttribute("target", "_blank");
    link.setAttribute("rel", "noopener noreferrer nofollow");
  }
  // Code does not wrap: whoever has only a keyboard scrolls it too.
  for (const code of clean.querySelectorAll("pre")) code.setAttribute("tabindex", "0");
  const holder = document.createElement("div");
  holder.append(clean);
  return holder.innerHTML;
}

function escapeHtml(text: string): string {
  return text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;").replace(/"/g, "&quot;");
}

export function Markdown({ text }: { text: string }) {
  const html = useMemo(() => (text.length > MOST ? "" : cleanMarkdown(text)), [text]);
  if (text.length > MOST) return <LongText text={text} />;
  return <div class="markdown" dir="auto" dangerouslySetInnerHTML={{ __html: html }} />;
}

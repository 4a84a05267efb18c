/** A block of code to copy, lightly coloured. */
import { CopyButton } from "../../ui/kit";

const PYTHON = /(?<comment>#.*$)|(?<string>"(?:[^"\\\n]|\\.)*")|(?<word>\b(?:import|from|as|print|def|return|with|for|in)\b)|(?<name>\b[a-z_]+(?==))/gm;
const SHELL = /(?<comment>^#.*$)|(?<string>"(?:[^"\\\n]|\\.)*")|(?<word>^(?:pip|export|curl|python|spanhouse|opentelemetry-instrument)\b)|(?<name>\b[A-Z][A-Z0-9_]+(?==)|\s-{1,2}[a-zA-Z-]+)/gm;

export function Code({ code, language }: { code: string; language: "shell" | "python" }) {
  return (
    <div class="code">
      <pre tabIndex={0} aria-label={language}>
        <code>{colour(code, language === "python" ? PYTHON : SHELL)}</code>
      </pre>
      <CopyButton text={code} label="Copy" look="outline" />
    </div>
  );
}

function colour(code: string, pattern: RegExp) {
  const parts = [];
  let at = 0;
  for (const match of code.matchAll(pattern)) {
    const kind = Object.entries(match.groups ?? {}).find(([, text]) => text !== undefined)?.[0];
    parts.push(code.slice(at, match.index), <span class={`code-${kind}`}>{match[0]}</span>);
    at = match.index + match[0].length;
  }
  parts.push(code.slice(at));
  return parts;
}

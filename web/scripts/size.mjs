/** Measures what a browser loads, gzipped, and fails above the budgets in e2e/budgets.json. */
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";

const here = dirname(fileURLToPath(import.meta.url));
const out = join(here, "../../server/src/spanhouse_server/_web");
const budgets = JSON.parse(readFileSync(join(here, "../e2e/budgets.json"), "utf8"));
const manifest = JSON.parse(readFileSync(join(out, ".vite/manifest.json"), "utf8"));

const size = (file) => gzipSync(readFileSync(join(out, file))).length;

/** A chunk with everything it imports statically. */
function closure(key, seen = new Set()) {
  if (seen.has(key)) return seen;
  seen.add(key);
  for (const next of manifest[key].imports ?? []) closure(next, seen);
  return seen;
}

const entry = Object.keys(manifest).find((key) => manifest[key].isEntry);
const chunks = Object.keys(manifest).filter((key) => manifest[key].file.endsWith(".js"));
const firstRoute = [...closure(entry)].reduce((sum, key) => sum + size(manifest[key].file), 0);
const allScripts = [...new Set(chunks.map((key) => manifest[key].file))].reduce((sum, file) => sum + size(file), 0);
const styles = [...new Set(Object.values(manifest).flatMap((one) => one.css ?? []))].reduce((sum, file) => sum + size(file), 0);

const figures = { first_route_js_gzip_bytes: firstRoute, total_js_gzip_bytes: allScripts, css_gzip_bytes: styles };
let failed = false;
for (const [name, value] of Object.entries(figures)) {
  const over = value > budgets[name];
  failed ||= over;
  console.log(`${name.padEnd(28)} ${String(value).padStart(7)}  budget ${budgets[name]}${over ? "  OVER" : ""}`);
}
process.exit(failed ? 1 : 0);

/** What the browser tests share: a browser, a page that fails on errors, assertions, OTLP. */
import assert from "node:assert/strict";
import { chromium } from "playwright-core";

export { assert };

export const base = required("SPANHOUSE_URL").replace(/\/$/, "");
/** Ids of what was sent before, as tests/e2e/seed.py returns them. */
export const seeded = JSON.parse(process.env.SPANHOUSE_SEEDED ?? "{}");

function required(name) {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set; run the browser tests with pytest tests/e2e`);
  return value;
}

/** How long anything may take before it counts as missing: far longer than it does, since machines of tests are busy. */
const PATIENCE_MS = 45_000;

const FLAGS = [
  "--no-sandbox", "--headless", "--disable-gpu", "--disable-quic", "--no-first-run",
  "--disable-background-networking", "--disable-component-update", "--disable-sync",
];

/**
 * Runs a test in a fresh browser. Errors on the page, refused scripts and requests to other hosts
 * fail it, whatever it checks itself.
 */
export async function run(test, options = {}) {
  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM || "/usr/bin/chromium", args: FLAGS });
  const faults = [];
  const open = async (contextOptions = {}) => {
    const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, ...contextOptions });
    await context.grantPermissions(["clipboard-read", "clipboard-write"], { origin: new URL(base).origin }).catch(() => undefined);
    const page = await context.newPage();
    page.setDefaultTimeout(PATIENCE_MS);
    page.on("pageerror", (error) => faults.push(`error on the page: ${error.stack ?? error}`));
    page.on("dialog", (dialog) => {
      faults.push(`a dialog opened: ${dialog.message()}`);
      void dialog.dismiss();
    });
    page.on("console", (message) => {
      const text = message.text();
      if (message.type() === "error" && !(options.allow ?? /(?!)/).test(text)) faults.push(`console: ${text}`);
    });
    page.on("request", (request) => {
      const { protocol, origin } = new URL(request.url());
      if (!["data:", "blob:"].includes(protocol) && origin !== new URL(base).origin) faults.push(`request to ${request.url()}`);
    });
    return page;
  };
  try {
    await test(open);
    assert.deepEqual(faults, []);
    console.log("ok");
  } catch (error) {
    for (const [index, context] of browser.contexts().entries()) {
      for (const page of context.pages()) {
        if (process.env.SPANHOUSE_SHOTS) await page.screenshot({ path: `${process.env.SPANHOUSE_SHOTS}/failed-${index}.png` }).catch(() => undefined);
        console.error(`page was at ${page.url()}`);
      }
    }
    if (faults.length) console.error(faults.join("\n"));
    console.error(error);
    process.exitCode = 1;
  } finally {
    await browser.close();
  }
}

/** Waits until a condition on the page's own state holds; says what it last was. */
export async function until(what, read, wanted, timeoutMs = PATIENCE_MS) {
  const deadline = Date.now() + timeoutMs;
  let last;
  for (;;) {
    last = await read();
    if (typeof wanted === "function" ? wanted(last) : last === wanted) return last;
    if (Date.now() > deadline) assert.fail(`${what}: still ${JSON.stringify(last)}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

const hex = (bytes) => Array.from(crypto.getRandomValues(new Uint8Array(bytes)), (byte) => byte.toString(16).padStart(2, "0")).join("");

/** Sends one trace of one chat span over OTLP/JSON and returns its id. */
export async function sendChat(name, question, answer) {
  const text = (key, value) => ({ key, value: { stringValue: value } });
  const message = (role, content) => JSON.stringify([{ role, parts: [{ type: "text", content }] }]);
  const traceId = hex(16);
  const body = {
    resourceSpans: [{
      resource: { attributes: [text("service.name", "e2e")] },
      scopeSpans: [{ spans: [{
        traceId, spanId: hex(8), name, kind: 3,
        startTimeUnixNano: `${Date.now() - 500}000000`, endTimeUnixNano: `${Date.now()}000000`,
        attributes: [
          text("gen_ai.operation.name", "chat"), text("gen_ai.request.model", "gpt-4o-mini"), text("gen_ai.provider.name", "openai"),
          text("gen_ai.input.messages", message("user", question)), text("gen_ai.output.messages", message("assistant", answer)),
        ],
      }] }],
    }],
  };
  const reply = await fetch(`${base}/v1/traces`, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) });
  assert.equal(reply.status, 200, await reply.text());
  return traceId;
}

/** Every page in both themes, wide and narrow, without serious or critical findings of axe. */
import axe from "axe-core";
import { assert, base, run, seeded, until } from "./lib.mjs";

const PAGES = [
  ["list", "/traces", ".table-row"],
  ["spans", "/traces?rows=spans&q=status:error", ".table-row"],
  ["empty list", "/traces?q=model:none-such", ".notice"],
  ["bad filter", "/traces?q=colour:red", ".q-fault"],
  ["trace", `/traces/${seeded.trip}?span=${seeded.trip_chat}`, ".side-output .markdown"],
  ["attributes", `/traces/${seeded.trip}?span=${seeded.trip_chat}&tab=attributes`, ".attribute-list"],
  ["raw", `/traces/${seeded.trip}?span=${seeded.trip_chat}&tab=raw`, ".json"],
  ["failed trace", `/traces/${seeded.failing}`, ".detail-error"],
  ["missing parents", `/traces/${seeded.orphans}`, ".trace-warning"],
  ["hostile", `/traces/${seeded.hostile}?span=${seeded.hostile_chat}`, ".side-output .markdown"],
  ["no such page", "/nowhere", ".notice"],
  ["setup", "/setup", ".arrivals-some"],
];

/** Pages of figures are large: each is looked at once light and wide, once dark and narrow. */
const FIGURES = [
  ["overview", "/overview?by=model", ".chart .legend-item"],
  ["cost", "/cost?if=gpt-4o-mini", ".waterfall"],
  ["latency", "/latency", ".figures"],
  ["ingest", "/ingest", ".figures"],
  ["alerts", "/alerts", ".figure-empty, .figures"],
  ["rule", "/alerts?rule=new", ".back-test-sum"],
  ["silences", "/alerts?tab=silences", "[role=group][aria-label=Inhibitions]"],
  ["channels", "/alerts?tab=channels", ".channels, .figure-empty"],
];

/** What is loading is dimmed on purpose, and one part of a page may begin to load when another has: nothing for half a second. */
async function settled(page) {
  for (let look = 0; look < 6; look++) {
    if ((await page.locator(".dimmed, [aria-busy=true]").count()) > 0) return false;
    await page.waitForTimeout(100);
  }
  return true;
}

/** Returns what axe finds serious or critical, and headings out of order: with a screen reader they are the way through a page. */
async function violations(page) {
  const result = await page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
  return result.violations.filter(({ id, impact }) => impact === "serious" || impact === "critical" || id.includes("heading"));
}

await run(
  async (open) => {
    const found = [];
    for (const colorScheme of ["light", "dark"]) {
      for (const viewport of [{ width: 1440, height: 900 }, { width: 320, height: 720 }]) {
        const page = await open({ colorScheme, viewport, reducedMotion: "reduce" });
        const narrow = viewport.width < 760;
        const figures = (colorScheme === "dark") === narrow ? FIGURES : [];
        for (const [name, path, ready] of [...PAGES, ...figures, ["help", "/traces", ".table-row"]]) {
          await page.goto(base + path);
          await page.locator(narrow && name === "failed trace" ? ".wf-row" : ready).first().waitFor();
          if (name === "help") await page.keyboard.press("?");
          await until("loaded for good", () => settled(page), true);
          await page.evaluate(axe.source);
          let serious = await violations(page);
          if (serious.length > 0) {
            // A part that began to load while it was looked at is dimmed for that moment; a fault stays.
            await until("loaded for good", () => settled(page), true);
            serious = await violations(page);
          }
          for (const violation of serious) {
            found.push(`${name}, ${colorScheme}, ${viewport.width}: ${violation.id}: ${violation.nodes.slice(0, 3).map((node) => `${node.target} ${node.failureSummary?.split("\n")[1] ?? ""}`).join(" | ")}`);
          }
          const wide = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
          if (wide > 0) found.push(`${name}, ${viewport.width}: the page is ${wide} px too wide`);
          // Only the content scrolls: a longer document shows a second scrollbar and nothing below the screen.
          const long = await page.evaluate(() => document.documentElement.scrollHeight - window.innerHeight);
          if (long > 0) found.push(`${name}, ${viewport.width}: the document is ${long} px longer than the screen`);
        }
        await page.context().close();
      }
    }
    assert.deepEqual(found, []);
  },
  { allow: /status of 400/ },
);

/** Ten thousand spans: few nodes, quick first rows, quick folding, all of them reachable. */
import { readFileSync } from "node:fs";
import { assert, base, run, seeded, until } from "./lib.mjs";

const budgets = JSON.parse(readFileSync(new URL("./budgets.json", import.meta.url), "utf8"));

await run(async (open) => {
  for (const shape of ["wide", "deep"]) {
    const page = await open();
    await page.addInitScript(() => {
      const fetched = window.fetch;
      window.fetch = async (...args) => {
        const reply = await fetched(...args);
        if (String(args[0]?.url ?? args[0]).includes("/api/v1/traces/")) window.replied ??= performance.now();
        return reply;
      };
      new MutationObserver((_, observer) => {
        if (!document.querySelector(".wf-row")) return;
        observer.disconnect();
        requestAnimationFrame(() => (window.painted = performance.now()));
      }).observe(document, { childList: true, subtree: true });
    });
    await page.goto(`${base}/traces/${seeded[shape]}`);
    const total = seeded.big_count;
    await until("all spans", () => page.locator(".waterfall-rows").getAttribute("aria-rowcount"), String(total));
    await page.locator(".detail-head").waitFor();
    const nodes = await page.evaluate(() => document.querySelectorAll("*").length);
    const firstRow = await page.evaluate(() => window.painted - window.replied);

    await page.locator(".waterfall-rows").evaluate((box) => box.scrollTo(0, box.scrollHeight));
    await until("the last row in view", () => page.locator(`.wf-row[aria-rowindex="${total}"]`).count(), 1);
    const nodesAtEnd = await page.evaluate(() => document.querySelectorAll("*").length);

    // A link to a span that comes with a later part of the trace leads to its row.
    const late = await open();
    await late.goto(`${base}/traces/${seeded[shape]}?span=${seeded.late[shape]}`);
    await until("all spans, by a link", () => late.locator(".waterfall-rows").getAttribute("aria-rowcount"), String(total));
    await until("the linked row in view", () => late.evaluate(() => {
      const row = document.querySelector('.wf-row[aria-selected="true"]')?.getBoundingClientRect();
      const box = document.querySelector(".waterfall-rows").getBoundingClientRect();
      return row !== undefined && row.top >= box.top && row.bottom <= box.bottom;
    }), true);
    await late.context().close();

    // The chain folds with "collapse all"; where everything hangs on the root, the root itself is folded.
    if (shape === "wide") {
      await page.locator(".waterfall-rows").evaluate((box) => box.scrollTo(0, 0));
      await page.locator('.wf-row[aria-rowindex="1"]').click();
    }
    const folding = await page.evaluate(async (key) => {
      const rows = document.querySelector(".waterfall-rows");
      const started = performance.now();
      const folded = new Promise((resolve) => new MutationObserver(() => Number(rows.getAttribute("aria-rowcount")) <= 2 && resolve()).observe(rows, { attributes: true }));
      document.body.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true }));
      await Promise.race([folded, new Promise((_, reject) => setTimeout(() => reject(new Error("did not fold")), 5000))]);
      return performance.now() - started;
    }, shape === "wide" ? "ArrowLeft" : "[");
    await page.keyboard.press("]");
    await until("expanded again", () => page.locator(".waterfall-rows").getAttribute("aria-rowcount"), String(total));

    // Times are told, not judged: they are those of the machine as well.
    console.log(JSON.stringify({ shape, nodes, nodes_at_end: nodesAtEnd, first_row_ms: Math.round(firstRow), collapse_all_ms: Math.round(folding) }));
    assert.ok(nodes <= budgets.dom_nodes_10k_trace && nodesAtEnd <= budgets.dom_nodes_10k_trace, `${nodes} and ${nodesAtEnd} nodes`);
    await page.context().close();
  }
});

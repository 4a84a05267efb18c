/** The server is away: pages say so, keep what they show, ask by themselves, and go on when it is back. */
import { assert, base, run, seeded, until } from "./lib.mjs";

await run(
  async (open) => {
    const list = await open();
    await list.goto(`${base}/traces`);
    await list.locator(".table-row").first().waitFor();
    const trace = await open();
    await trace.goto(`${base}/traces/${seeded.trip}?span=${seeded.trip_chat}`);
    await trace.locator(".side-output").waitFor();
    const ingest = await open();
    await ingest.goto(`${base}/ingest`);
    await ingest.locator(".tile").first().waitFor();

    const overview = await open();
    await overview.goto(`${base}/overview`);
    await overview.locator(".tile").first().waitFor();
    const pages = [list, trace, ingest, overview];

    for (const page of pages) await page.context().setOffline(true);
    await list.keyboard.press("r");
    await overview.getByRole("button", { name: "Reload (r)" }).click();
    await overview.locator(".notice-error").first().waitFor();
    await list.getByRole("alert").getByText("The server does not answer").waitFor();
    await trace.locator(".wf-row").nth(1).click();
    for (const page of pages) await page.locator(".reach").getByText("asking again").waitFor();
    assert.ok((await trace.locator(".wf-row").count()) > 1, "the tree stays");
    assert.ok((await ingest.locator(".tile").count()) > 1, "the counters stay");

    for (const page of pages) await page.context().setOffline(false);
    await list.locator(".table-row").first().waitFor();
    await overview.locator(".tile").first().waitFor();
    await trace.locator(".tool-call").getByText("get_weather").waitFor();
    for (const page of pages) await until("nothing is left of it", () => page.locator(".reach, .notice-error").count(), 0);
  },
  { allow: /ERR_INTERNET_DISCONNECTED/ },
);

/** Live tail: arrivals on top, pause with a count, nothing lost, nothing twice. */
import { assert, base, run, sendChat, until } from "./lib.mjs";

await run(async (open) => {
  const page = await open();
  const names = () => page.locator(".table-row .row-link").allInnerTexts();
  await page.goto(`${base}/traces?q=name:live*&live=1`);
  await page.getByText("Live: new traces appear on top").waitFor();
  await sendChat("live one", "first?", "yes");
  await until("the first arrives", names, (all) => all[0] === "live one");
  await sendChat("other", "not matching the filter", "no");
  await sendChat("live two", "second?", "yes");
  await until("the second on top", names, (all) => all[0] === "live two" && all[1] === "live one");

  await page.getByRole("button", { name: "Pause" }).click();
  await sendChat("live three", "third?", "yes");
  await until("counted while paused", () => page.locator(".live-new").count(), 1);
  assert.equal(await page.locator(".live-new").innerText(), "1 new");
  assert.deepEqual(await names(), ["live two", "live one"]);
  await page.locator(".live-new").click();
  await until("shown afterwards", names, (all) => all.join() === "live three,live two,live one");

  await page.getByRole("button", { name: "Live", exact: true }).click();
  await until("live left the URL", async () => new URL(page.url()).searchParams.get("live"), null);
});

/** A trace: conversation with its tool calls, find, keyboard, links, warnings. */
import { assert, base, run, seeded, until } from "./lib.mjs";

await run(async (open) => {
  const page = await open();
  await page.goto(`${base}/traces?q=name:"plan a trip"`);
  await page.locator(".table-row").first().click();
  await page.waitForURL(`**/traces/${seeded.trip}`);
  const row = (name) => page.locator(".wf-row").filter({ hasText: name });

  // The second model call: system, user, tool call with its result, answer.
  await row("chat gpt-4o-mini").nth(1).click();
  await until("span in the URL", async () => new URL(page.url()).searchParams.get("span"), seeded.trip_chat);
  await page.locator(".role-system").getByText("You plan trips.").waitFor();
  await page.locator(".role-user").getByText("What is the weather in Oslo?").waitFor();
  const call = page.locator(".tool-call");
  await call.getByText("get_weather").waitFor();
  assert.match(await call.innerText(), /city[\s\S]*Oslo[\s\S]*Result[\s\S]*temperature[\s\S]*3/);
  assert.equal(await page.locator(".role-tool").count(), 0, "a paired result must not stand twice");
  await page.locator(".side-output").getByText("It is 3 degrees in Oslo.").waitFor();
  assert.equal(await page.locator(".side-output strong").innerText(), "3 degrees", "answers are rendered as markdown");
  assert.equal(await page.locator(".role-user strong").count(), 0, "what users wrote is not");
  assert.match(await page.locator(".usage").innerText(), /Input\s*60[\s\S]*Read from cache\s*40[\s\S]*Output\s*12/);

  // Tabs: everything that was received is there.
  await page.getByRole("tab", { name: "Attributes" }).click();
  await page.getByLabel("Filter names and values").fill("request.model");
  await until("filtered attributes", () => page.locator(".attribute-name").allInnerTexts(), (names) => names.length === 1 && names[0] === "gen_ai.request.model");
  await page.getByRole("tab", { name: "Raw" }).click();
  const [download] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name: "Download" }).click()]);
  assert.equal(download.suggestedFilename(), `span-${seeded.trip_chat}.json`);
  await page.goto(page.url().replace("&tab=raw", ""));

  // A tool span shows what went in and came out.
  await row("execute_tool get_weather").click();
  await page.locator(".io-part").first().getByText("Oslo").waitFor();

  // Find: names at once, texts of messages from the server.
  await page.keyboard.press("/");
  await page.getByLabel("Find in this trace").fill("execute_tool");
  await until("one match by name", () => page.locator(".find-count").innerText(), (text) => text.endsWith(" of 1"));
  await page.getByLabel("Find in this trace").fill("marmalade");
  await until("a match by text", () => page.locator(".find-count").innerText(), (text) => text.endsWith(" of 1"));
  await page.keyboard.press("Enter");
  await until("went to the match", () => page.locator('.wf-row[aria-selected="true"]').innerText(), (text) => text.startsWith("book hotel"));
  await page.keyboard.press("Escape");

  // Keyboard as in a treegrid.
  await row("plan a trip").click();
  const count = await page.locator(".wf-row").count();
  await page.keyboard.press("ArrowLeft");
  await until("collapsed", () => page.locator(".wf-row").count(), 1);
  assert.equal(await row("plan a trip").getAttribute("aria-expanded"), "false");
  await page.keyboard.press("ArrowRight");
  await until("expanded", () => page.locator(".wf-row").count(), count);
  await page.keyboard.press("ArrowRight");
  assert.equal(await page.locator('.wf-row[aria-selected="true"]').getAttribute("aria-level"), "2");
  await page.keyboard.press("End");
  assert.equal(await page.locator('.wf-row[aria-selected="true"]').getAttribute("aria-rowindex"), String(count));

  // The critical path lies below the bars of what held the trace up, and not below what did not.
  await page.keyboard.press("c");
  await until("critical path", () => page.locator(".wf-critical").count(), (drawn) => drawn >= count);
  assert.match(await row("book hotel").locator(".wf-time").getAttribute("title"), /^500 ms on the critical path/);
  await page.reload();
  await until("it stays, as a preference", () => page.locator(".wf-critical").count(), (drawn) => drawn >= count);
  await page.keyboard.press("c");
  await until("and goes", () => page.locator(".wf-critical").count(), 0);

  // Zoom: to the span and back, closer and wider, and by a drag across the minimap.
  const zoom = () => new URL(page.url()).searchParams.get("zoom");
  await row("book hotel").click();
  await page.keyboard.press("f");
  await until("zoomed to the span", zoom, "2400..2900");
  await until("what lies outside says so", () => row("execute_tool get_weather").locator(".wf-beyond").innerText(), "‹ 150 ms");
  await page.keyboard.press("-");
  await until("wider", zoom, "2000..3000");
  await page.keyboard.press("+");
  await until("closer", zoom, "2400..2900");
  const zoomed = await open();
  await zoomed.goto(page.url());
  await until("a link carries the zoom", () => zoomed.locator(".wf-beyond").count(), (beyond) => beyond > 0);
  await page.keyboard.press("f");
  await until("all of it again", zoom, null);
  const map = await page.locator(".minimap").boundingBox();
  await page.mouse.move(map.x + map.width * 0.5, map.y + 20);
  await page.mouse.down();
  await page.mouse.move(map.x + map.width * 0.9, map.y + 20, { steps: 4 });
  await page.mouse.up();
  await until("dragged", () => (zoom() ?? "").split("..").map((ms) => Math.round(Number(ms) / 100)).join(), "15,27");
  await page.keyboard.press("Escape");
  await until("Esc leads out of the zoom first", zoom, null);
  assert.match(page.url(), /\/traces\/[0-9a-f]{32}/);
  await row("plan a trip").click();
  await page.keyboard.press("End");

  // The link leads to this very span.
  await page.keyboard.press("y");
  await page.getByText("Link copied").waitFor();
  const link = await page.evaluate(() => navigator.clipboard.readText());
  const other = await open();
  await other.goto(link);
  await until("same span selected", () => other.locator('.wf-row[aria-selected="true"]').getAttribute("aria-rowindex"), String(count));

  // A failure is what one sees first.
  await page.goto(`${base}/traces/${seeded.failing}`);
  await until("failed span selected", () => page.locator('.wf-row[aria-selected="true"]').innerText(), (text) => text.startsWith("charge card"));
  await page.locator(".detail-error").getByText("card was declined").waitFor();

  // Missing parents are told.
  await page.goto(`${base}/traces/${seeded.orphans}`);
  await page.locator(".trace-warning").getByText("names a parent that is not here").waitFor();
  assert.equal(await page.locator(".wf-row").count(), 2);

  // Session and user are filters.
  await page.goto(`${base}/traces/${seeded.trip}`);
  await page.getByRole("link", { name: "session-7" }).click();
  await until("session filter", () => page.getByRole("combobox", { name: "Filter" }).inputValue(), "session:session-7");
  await page.locator(".table-row").first().waitFor();

  // Where a page has a key of its own, the same letter after g still opens a page.
  await page.goto(`${base}/traces/${seeded.trip}`);
  await page.locator(".wf-row").first().waitFor();
  for (const [key, path] of [["c", "/cost"], ["t", "/traces"], ["l", "/latency"]]) {
    await page.keyboard.press("g");
    await page.keyboard.press(key);
    await until(`g ${key}`, () => new URL(page.url()).pathname, path);
  }

  await page.goto(`${base}/traces/${"0".repeat(31)}1`);
  await page.getByText("There is no such trace").waitFor();
}, { allow: /status of 404/ });

/** Media of messages: shown where that is safe, handed over where not, and said so where they are gone. */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import axe from "axe-core";
import { assert, base, run, seeded, until } from "./lib.mjs";

await run(
  async (open) => {
    const page = await open();
    const asked = [];
    page.on("request", (request) => request.url().includes("/api/v1/blobs/") && asked.push(request.url()));
    await page.goto(`${base}/traces/${seeded.media}`);
    const row = (name) => page.locator(".wf-row").filter({ hasText: name });
    await row("chat about media").click();
    const stored = page.locator(".role-user .media-stored");
    await until("all media", () => stored.count(), 5);

    // The image is drawn from its own address, and opens.
    const image = stored.nth(0).locator("img");
    await until("drawn", () => image.evaluate((one) => [one.naturalWidth, one.naturalHeight].join()), "120,80");
    assert.equal(await image.getAttribute("loading"), "lazy");
    assert.match(await stored.nth(0).innerText(), /image\/png[\s\S]*kB[\s\S]*Download/);
    await stored.nth(0).getByRole("button", { name: "Show the image" }).click();
    await until("large", () => page.getByRole("dialog").locator("img").evaluate((one) => one.naturalWidth), 120);
    if (process.env.SPANHOUSE_SHOTS) await page.screenshot({ path: `${process.env.SPANHOUSE_SHOTS}/media-large.png` });
    await page.keyboard.press("Escape");

    if (process.env.SPANHOUSE_SHOTS) await page.screenshot({ path: `${process.env.SPANHOUSE_SHOTS}/media.png` });

    // Sound can be played, from any point of it.
    const sound = stored.nth(1).locator("audio");
    await until("sound", () => sound.evaluate((one) => one.duration), (seconds) => Math.abs(seconds - 0.25) < 0.05);
    assert.ok(await sound.evaluate((one) => one.controls && one.seekable.length > 0));

    // Files are handed over, byte for byte; a drawing that could run a script is one of them.
    for (const [place, type, ending] of [[2, "application/pdf", "pdf"], [3, "image/svg+xml", "bin"]]) {
      assert.match(await stored.nth(place).innerText(), new RegExp(type.replace("+", "\\+")));
      assert.equal(await stored.nth(place).locator("img").count(), 0);
      const [download] = await Promise.all([page.waitForEvent("download"), stored.nth(place).getByRole("link", { name: "Download" }).click()]);
      const [hash, found] = download.suggestedFilename().split(".");
      assert.equal(found, ending);
      assert.ok(createHash("sha256").update(readFileSync(await download.path())).digest("hex").startsWith(hash));
    }

    // What is gone says so; what is small still lies in the message.
    await stored.nth(4).getByText("No longer kept").waitFor();
    const pixel = page.locator('.role-user .thumb img[src^="data:image/png"]');
    await until("inline", () => pixel.evaluate((one) => one.naturalWidth), 1);

    await page.evaluate(axe.source);
    const { violations } = await page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
    assert.deepEqual(violations.filter(({ impact }) => impact === "serious" || impact === "critical").map(({ id }) => id), []);

    // A tool's answer shows the image it refers to.
    await row("execute_tool draw").click();
    await until("from a tool", () => page.locator(".media-found img").evaluate((one) => one.naturalWidth), 60);
    assert.ok(asked.length >= 4);
    assert.equal(await page.evaluate(() => window.pwned), undefined);

    // In a list there is a word for it, and nothing is fetched.
    asked.length = 0;
    await page.goto(`${base}/traces?q=service:media`);
    await page.locator(".table-row").getByText("What is all this?").waitFor();
    assert.deepEqual(asked, []);
  },
  // The missing one is asked for, and answered with 404.
  { allow: /404/ },
);

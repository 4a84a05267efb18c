/** What strangers write shows as text: no script, no request, no broken page. */
import { assert, base, run, seeded, until } from "./lib.mjs";

await run(async (open) => {
  const page = await open();
  await page.goto(`${base}/traces?q=service:hostile`);
  await page.locator(".table-row").first().waitFor();
  await page.goto(`${base}/traces/${seeded.hostile}`);
  await page.locator(".side-output .markdown").waitFor();
  const check = async (where) => {
    assert.equal(await page.evaluate(() => window.pwned), undefined, `a script ran in ${where}`);
    assert.equal(await page.locator("#main").locator("script, iframe, object, embed, form[action], img[src^=http], style, link").count(), 0, `foreign elements in ${where}`);
    const bad = await page.locator("#main a[href]").evaluateAll((links) => links.map((link) => link.href).filter((href) => !/^(https?|mailto):/.test(href)));
    assert.deepEqual(bad, [], where);
  };
  await check("chat");
  assert.match(await page.locator(".role-user").innerText(), /<script>window\.pwned/);
  assert.match(await page.locator(".side-output").innerText(), /<img src=x onerror/);
  for (const tab of ["Attributes", "Events", "Raw"]) {
    await page.getByRole("tab", { name: tab }).click();
    await page.waitForTimeout(150);
    await check(tab);
  }
  // A picture that came as data is drawn; one that would have to be fetched is only named.
  await page.getByRole("tab", { name: "Chat" }).click();
  await until("picture", () => page.locator(".thumb img").count(), 1);
  assert.equal(await page.locator(".media a").getAttribute("rel"), "noopener noreferrer nofollow");
  // Ten megabytes of text do not hold up the page.
  await page.goto(`${base}/traces/${seeded.heavy}`);
  await page.locator(".side-output").waitFor();
  assert.ok((await page.locator(".side-output").innerText()).length < 20_000);
  await page.getByText(/show more \(/).first().waitFor();
  await page.getByRole("tab", { name: "Raw" }).click();
  await page.getByText("Show it anyway").waitFor();
});

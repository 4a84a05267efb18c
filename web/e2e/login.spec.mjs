/** Where keys are required: asked for, refused, let in, remembered, let out. */
import { assert, base, run, until } from "./lib.mjs";

await run(
  async (open) => {
    const page = await open();
    await page.goto(`${base}/traces`);
    await page.getByRole("heading", { name: "Log in to Spanhouse" }).waitFor();
    await page.getByLabel("Key").fill("wrong");
    await page.keyboard.press("Enter");
    await page.getByRole("alert").getByText("unknown or revoked").waitFor();
    await page.getByLabel("Key").fill(process.env.SPANHOUSE_KEY);
    await page.keyboard.press("Enter");
    await page.getByRole("combobox", { name: "Filter" }).waitFor();
    await page.reload();
    await page.getByRole("combobox", { name: "Filter" }).waitFor();
    await page.goto(`${base}/setup`);
    await page.getByText("put one in place of YOUR_KEY").waitFor();
    await page.getByRole("button", { name: "Make one" }).click();
    await page.getByText("The new key is in the code below").waitFor();
    await page.getByRole("tab", { name: "curl" }).click();
    const code = await page.locator("#setup-panel pre").first().innerText();
    const key = /Authorization: Bearer (\S+)'/.exec(code)[1];
    assert.notEqual(key, "YOUR_KEY");
    const sent = await fetch(`${base}/v1/traces`, { method: "POST", headers: { "content-type": "application/json", authorization: `Bearer ${key}` }, body: '{"resourceSpans":[]}' });
    assert.equal(sent.status, 200);
    await page.reload();
    await page.getByText("put one in place of YOUR_KEY").waitFor();
    assert.ok(!(await page.content()).includes(key), "a key is shown once");
    assert.equal(await page.evaluate(() => JSON.stringify({ ...localStorage, ...sessionStorage }).includes("secret")), false);
    await page.getByRole("button", { name: "Log out" }).click();
    await page.getByRole("heading", { name: "Log in to Spanhouse" }).waitFor();
    await page.reload();
    await until("still out", () => page.getByRole("heading", { name: "Log in to Spanhouse" }).count(), 1);
  },
  { allow: /status of 40[13]/ },
);

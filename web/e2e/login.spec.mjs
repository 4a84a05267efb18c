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
    assert.equal(await page.evaluate(() => JSON.stringify({ ...localStorage, ...sessionStorage }).includes("secret")), false);
    await page.getByRole("button", { name: "Log out" }).click();
    await page.getByRole("heading", { name: "Log in to Spanhouse" }).waitFor();
    await page.reload();
    await until("still out", () => page.getByRole("heading", { name: "Log in to Spanhouse" }).count(), 1);
  },
  { allow: /status of 40[13]/ },
);

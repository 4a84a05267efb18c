/** A newcomer's way: an empty server, the pasted snippet, the first trace read. */
import { spawnSync } from "node:child_process";
import { assert, base, run, until } from "./lib.mjs";

await run(async (open) => {
  const page = await open();
  await page.goto(`${base}/`);
  await page.waitForURL("**/setup");
  await page.getByText("Waiting for the first span…").waitFor();

  const python = await page.locator("#setup-panel pre").nth(1).innerText();
  assert.match(python, new RegExp(`endpoint="${base}"`));

  await page.getByRole("tab", { name: "curl" }).click();
  await page.locator("#setup-panel").getByRole("button", { name: "Copy" }).click();
  const pasted = await page.evaluate(() => navigator.clipboard.readText());
  assert.match(pasted, /^curl /);
  const ran = spawnSync("bash", ["-c", pasted], { encoding: "utf8", env: { ...process.env, no_proxy: "127.0.0.1" } });
  assert.equal(ran.status, 0, `${ran.stdout}${ran.stderr}`);

  await page.getByText("Received 2 spans").waitFor();
  await page.locator(".arrivals-trace").click();
  await page.waitForURL("**/traces/*");
  await page.locator(".side-output").getByText("Hello, hallo, bonjour!").waitFor();
  await page.locator(".message").getByText("Say hello in three languages.").waitFor();
  assert.match(await page.locator(".usage").innerText(), /Input\s*13[\s\S]*Output\s*9/);

  // From now on the front door leads to the list.
  await page.goto(`${base}/`);
  await page.waitForURL("**/traces");
  await until("rows", () => page.locator(".table-row").count(), 1);
});

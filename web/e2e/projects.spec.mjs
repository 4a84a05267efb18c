/** Several projects: one is chosen from the bar, stays in every link, and shows nothing of the others. */
import { assert, base, run, until } from "./lib.mjs";

await run(async (open) => {
  const page = await open();
  await page.goto(`${base}/cost`);
  await page.locator(".tile").first().waitFor();
  assert.equal(await page.locator(".project-menu").count(), 0, "with one project there is nothing to choose");
  const made = await fetch(`${base}/api/v1/projects`, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify({ name: "Second shop" }) });
  assert.equal(made.status, 201, await made.text());
  await page.reload();

  await page.getByRole("button", { name: "Project: default" }).click();
  await page.getByRole("button", { name: "Second shop" }).click();
  await until("the same page of the other project", () => new URL(page.url()).pathname + new URL(page.url()).search, (at) => at.endsWith("/cost?project=second-shop"));
  await until("its figures", () => page.locator(".tile", { hasText: "Model calls" }).locator(".tile-value").innerText(), "0");
  await page.getByRole("link", { name: "Traces", exact: true }).click();
  await page.getByText("Nothing has been received yet").waitFor();
  assert.equal(new URL(page.url()).searchParams.get("project"), "second-shop");

  await page.getByRole("button", { name: "Project: Second shop" }).click();
  await page.getByRole("button", { name: "default", exact: true }).click();
  await page.locator(".table-row").first().waitFor();
  await until("out of the address", () => new URL(page.url()).searchParams.get("project"), null);
});

/** Alerts: a rule is tried on the past, kept, fires, is found by its link, silenced, and gone again. */
import { assert, base, run, until } from "./lib.mjs";

await run(
  async (open) => {
    const page = await open();

    // A channel: its secret goes in and never comes out.
    await page.goto(`${base}/alerts?tab=channels`);
    await page.getByRole("button", { name: "Add a channel" }).click();
    const channel = page.getByRole("dialog", { name: "Add a channel" });
    await channel.getByLabel("Name").fill("e2e-hook");
    await channel.getByLabel("Address").fill("http://127.0.0.1:9/very-secret-path");
    await channel.getByRole("button", { name: "Add" }).click();
    await page.locator(".channel", { hasText: "e2e-hook" }).getByText("url set").waitFor();
    assert.ok(!(await page.content()).includes("very-secret-path"));
    await page.getByRole("button", { name: "Change e2e-hook" }).click();
    assert.equal(await page.getByRole("dialog").getByLabel("Address").inputValue(), "");
    await page.keyboard.press("Escape");
    await page.getByRole("button", { name: "Send a test" }).click();
    await page.getByText("The test failed").waitFor();

    // The back-test follows the form.
    await page.goto(`${base}/alerts?rule=new`);
    await page.getByLabel("Name", { exact: true }).fill("E2E calls fail");
    await page.getByLabel("Window", { exact: true }).fill("soon");
    await page.getByText("“soon” is no time").waitFor();
    await page.getByLabel("Window", { exact: true }).fill("2h");
    await page.getByLabel("Every", { exact: true }).fill("10s");
    await page.getByLabel("Only spans that fit").fill("service:everyday");
    await page.getByRole("button", { name: "24 h" }).click();
    await page.locator(".back-test-sum", { hasText: "would have fired" }).waitFor();
    await page.getByLabel("Breach above").fill("0.99");
    await page.locator(".back-test-sum", { hasText: "would not have fired" }).waitFor();
    await page.getByLabel("Breach above").fill("0.05");
    await page.getByLabel("e2e-hook").check();
    await page.getByRole("button", { name: "Add", exact: true }).click();
    await page.getByRole("row", { name: /E2E calls fail/ }).waitFor();

    // It fires; the link of a notification opens it with its evidence, also in a named project.
    await page.goto(`${base}/alerts`);
    const row = page.getByRole("row", { name: /E2E calls fail/ });
    await row.getByText("critical").waitFor({ timeout: 60_000 });
    await row.getByRole("link").click();
    const id = new URL(page.url()).searchParams.get("id");
    await page.goto(`${base}/alerts?id=${id}&project=default`);
    await page.getByRole("heading", { name: "E2E calls fail" }).waitFor();
    await page.locator(".chart .u-over").waitFor();
    const example = page.locator(".alert-traces a").first();
    assert.match(await example.getAttribute("href"), /\/traces\/[0-9a-f]{32}\?project=default$/);

    // Silenced: still there, told nobody.
    await page.getByRole("button", { name: "Silence" }).click();
    const silence = page.getByRole("dialog", { name: "Silence alerts" });
    assert.match(await silence.getByLabel("Alerts whose labels fit all of").inputValue(), /alertname=E2E calls fail/);
    await silence.getByRole("button", { name: "Silence" }).click();
    await page.locator(".alert-facts", { hasText: "silenced" }).waitFor();
    await page.goto(`${base}/alerts?tab=silences`);
    await page.getByRole("button", { name: "End", exact: true }).click();
    await page.getByRole("dialog").getByRole("button", { name: "End it" }).click();
    await page.getByText("ended").waitFor();

    // What holds back what: one is there from the start; more are added, changed and removed.
    const inhibitions = page.getByRole("group", { name: "Inhibitions" }).locator("tbody tr");
    await until("the usual one", () => inhibitions.count(), 1);
    await page.getByRole("button", { name: "Add an inhibition" }).click();
    const inhibition = page.getByRole("dialog", { name: "Add an inhibition" });
    await inhibition.getByLabel("While alerts fire").fill("nonsense");
    await inhibition.getByLabel("hold back alerts").fill("alertname=Late*");
    await inhibition.getByRole("button", { name: "Add" }).click();
    await inhibition.getByText("“nonsense” is no condition").waitFor();
    await inhibition.getByLabel("While alerts fire").fill("alertname=Down");
    await inhibition.getByLabel("where these labels agree").fill("service");
    await inhibition.getByRole("button", { name: "Add" }).click();
    await until("two", () => inhibitions.count(), 2);
    assert.match(await inhibitions.nth(1).innerText(), /alertname=Down\s+alertname=Late\*\s+service/);
    await page.getByRole("button", { name: "Change inhibition 2" }).click();
    await page.getByRole("dialog").getByLabel("hold back alerts").fill("alertname=~Late*\nseverity=warning");
    await page.getByRole("dialog").getByRole("button", { name: "Save" }).click();
    await inhibitions.nth(1).getByText("severity=warning").waitFor();
    await page.getByRole("button", { name: "Delete inhibition 2" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
    await until("one again", () => inhibitions.count(), 1);

    // Gone.
    await page.goto(`${base}/alerts?tab=rules`);
    await page.getByRole("button", { name: "Delete E2E calls fail" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
    await until("the rule is gone", () => page.getByRole("row", { name: /E2E calls fail/ }).count(), 0);
    await page.goto(`${base}/alerts?id=no-such-alert`);
    await page.getByRole("alert").waitFor();
  },
  { allow: /status of 40[04]/ },
);

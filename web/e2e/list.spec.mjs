/** The list: filters that stay, errors where they are, sorting, columns, keys, shared links. */
import { assert, base, run, until } from "./lib.mjs";

await run(
  async (open) => {
    const page = await open();
    const rows = () => page.locator(".table-row");
    const query = page.getByRole("combobox", { name: "Filter" });
    const q = () => new URL(page.url()).searchParams.get("q");
    await page.goto(`${base}/traces`);
    const all = await until("rows at first", () => rows().count(), (count) => count > 10);

    // Completion: a field, then a value, with the keyboard alone.
    await page.keyboard.press("/");
    await query.pressSequentially("stat");
    await page.getByRole("option", { name: /^status/ }).first().waitFor();
    await page.keyboard.press("Tab");
    await until("field taken", () => query.inputValue(), "status:");
    await page.getByRole("option", { name: "error" }).waitFor();
    await query.pressSequentially("er");
    await page.keyboard.press("Tab");
    await until("value taken", () => query.inputValue(), "status:error ");
    await page.keyboard.press("Enter");
    await until("URL holds the filter", async () => q(), "status:error");
    const errors = await until("fewer rows", () => rows().count(), (count) => count > 0 && count < all);
    assert.equal(await page.locator('.table-row [aria-label="error"]').count(), errors);

    // Back, forward, reload and a shared link all keep it.
    await page.goBack();
    await until("filter gone after Back", () => query.inputValue(), "");
    await until("all rows after Back", () => rows().count(), all);
    await page.goForward();
    await until("rows after Forward", () => rows().count(), errors);
    await page.reload();
    await until("rows after reload", () => rows().count(), errors);
    assert.equal(await query.inputValue(), "status:error");
    const other = await open();
    await other.goto(page.url());
    await until("rows in a clean profile", () => other.locator(".table-row").count(), errors);
    assert.equal(await other.evaluate(() => localStorage.getItem("spanhouse.prefs")), null, "a link must not write preferences");

    // Facets and the filter are two editors of one thing.
    const facet = page.locator(".facet").filter({ hasText: "model" });
    await facet.getByRole("button", { name: /gpt-4o-mini/ }).first().click();
    await until("facet in the filter", async () => q(), (text) => text.startsWith("status:error model:gpt-4o-mini"));
    await facet.getByRole("button", { name: /gpt-4o-mini/, pressed: true }).first().click();
    await until("facet out of the filter", async () => q(), "status:error");

    // A cell adds a condition.
    await page.locator('.table-row [data-field="user"]').first().hover();
    await page.locator(".cell-tools").getByRole("button", { name: /^Without user/ }).click();
    await until("excluded user", async () => q(), (text) => /-user:/.test(text));

    // What cannot be read is underlined where it stands.
    await query.fill('name:x and colour:red');
    await page.keyboard.press("Enter");
    await page.locator(".q-fault").waitFor();
    assert.match(await page.locator(".q-fault").innerText(), /^colour/);
    // Also behind characters that are two units of a string here and one for the server.
    await page.goto(`${base}/traces?q=${encodeURIComponent('name:"😀🧳" 𝒳 colour:red')}`);
    await page.locator(".q-fault").waitFor();
    assert.match(await page.locator(".q-fault").innerText(), /^colour/);
    assert.match(await page.locator("#query-error").innerText(), /colour/);
    await page.getByRole("button", { name: "Clear the filter" }).click();
    await until("all rows again", () => rows().count(), all);

    // Sorting.
    await page.getByRole("button", { name: "Duration" }).click();
    await until("sort in the URL", async () => new URL(page.url()).searchParams.get("sort"), "-duration");
    await page.locator('[role="columnheader"][aria-sort="descending"]').getByText("Duration").waitFor();

    // Columns are a preference and last.
    await page.getByRole("button", { name: "Columns" }).click();
    await page.getByLabel("Service").check();
    await page.keyboard.press("Escape");
    await page.reload();
    await page.getByRole("columnheader", { name: "Service" }).waitFor();

    // Keys: down, open, out; the row is still the one.
    await until("rows after reload", () => rows().count(), (count) => count > 10);
    for (const key of ["j", "j", "j", "k"]) await page.keyboard.press(key);
    const wanted = await page.locator('.table-row[aria-selected="true"]').getAttribute("aria-rowindex");
    assert.equal(wanted, "3");
    await page.keyboard.press("Enter");
    await page.waitForURL("**/traces/*");
    await page.locator(".wf-row").first().waitFor();
    await page.keyboard.press("Escape");
    await page.locator('.table-row[aria-selected="true"][aria-rowindex="3"]').waitFor();
    assert.equal(new URL(page.url()).searchParams.get("sort"), "-duration");

    // Time: typed ranges.
    await page.keyboard.press("t");
    await page.getByLabel("Type a range").fill("gibberish");
    await page.keyboard.press("Enter");
    await page.getByText("Not understood").waitFor();
    await page.getByLabel("Type a range").fill("3h");
    await page.keyboard.press("Enter");
    await until("range in the URL", async () => new URL(page.url()).searchParams.get("range"), "3h");

    // The strip: dragging across picks that time.
    const strip = await page.locator(".histogram-box").boundingBox();
    await page.locator(".bar-total[d^=M]").waitFor();
    await page.mouse.move(strip.x + strip.width * 0.2, strip.y + 20);
    await page.mouse.down();
    await page.mouse.move(strip.x + strip.width * 0.7, strip.y + 20, { steps: 4 });
    await page.mouse.up();
    await until("dragged range", async () => new URL(page.url()).searchParams.get("range"), (range) => /^20.*Z\.\.20.*Z$/.test(range));

    // Paging: scrolling brings all of them, each once.
    await page.goto(`${base}/traces?q=service:paging`);
    await until("first page", () => page.locator(".table").getAttribute("aria-rowcount"), "-1");
    for (let i = 0; i < 40 && (await page.locator(".table").getAttribute("aria-rowcount")) === "-1"; i++) {
      await page.locator(".table").evaluate((table) => table.scrollTo(0, table.scrollHeight));
      await page.waitForTimeout(100);
    }
    assert.equal(await page.locator(".table").getAttribute("aria-rowcount"), "251");
    assert.ok((await rows().count()) < 80, "rows out of view must not be in the document");

    // After a button was pressed the keys of the list are the list's: Enter opens the row, not the button again.
    await page.goto(`${base}/traces?q=name:"plan a trip"`);
    await rows().first().waitFor();
    await page.getByRole("button", { name: "Hide the filter panel" }).click();
    await page.keyboard.press("j");
    await until("the row has the focus", () => page.evaluate(() => document.activeElement?.getAttribute("data-row")), "0");
    await page.keyboard.press("Enter");
    await page.waitForURL("**/traces/*");
    await page.goBack();
    await page.getByRole("button", { name: "Show the filter panel" }).click();

    // What was sent is shown as it is: fonts may not make an arrow of it.
    const [together, apart] = await page.evaluate(() => {
      const widths = ["->", "-", ">"].map((text) => {
        const holder = document.createElement("span");
        holder.textContent = text;
        document.body.append(holder);
        const { width } = holder.getBoundingClientRect();
        holder.remove();
        return width;
      });
      return [widths[0], widths[1] + widths[2]];
    });
    assert.ok(Math.abs(together - apart) < 1, `"->" is ${together} px wide, its characters are ${apart}`);

    // On a phone every page of the bar is in sight.
    await page.setViewportSize({ width: 390, height: 800 });
    for (const name of ["overview", "traces", "setup"]) {
      await page.goto(`${base}/${name}`);
      const bar = await page.locator(".topbar nav").evaluate((nav) => [nav.scrollWidth, nav.clientWidth]);
      assert.ok(bar[0] <= bar[1], `${name}: the pages take ${bar[0]} px of ${bar[1]}`);
    }
    await page.setViewportSize({ width: 1440, height: 900 });
    await page.goto(`${base}/traces`);
    await rows().first().waitFor();

    // Help.
    await page.keyboard.press("?");
    await page.getByRole("dialog", { name: "Keys and filters" }).waitFor();
    await page.keyboard.press("Escape");
    await until("help closed", () => page.getByRole("dialog").count(), 0);
  },
  { allow: /status of 400/ },
);

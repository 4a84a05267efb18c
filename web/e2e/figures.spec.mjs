/** Pages of figures: charts as picture and as table, zoom, drill to traces, grouping, cost, budgets, latency, ingest. */
import { assert, base, run, until } from "./lib.mjs";

const address = (page) => new URL(page.url());

await run(
  async (open) => {
    const page = await open();

    // Overview: every chart says in words what it shows.
    await page.goto(`${base}/overview`);
    await until("six charts", () => page.locator(".chart .u-over").count(), 6);
    const requests = page.locator(".chart", { has: page.getByRole("heading", { name: "Requests" }) });
    assert.match(await requests.locator(".plot-box").getAttribute("aria-label"), /^Requests, \d+ intervals\. Model calls: 0 to \d/);
    await page.locator(".tile", { hasText: "Error rate" }).locator(".tile-value", { hasText: "%" }).waitFor();

    // The same figures as a table; a row leads to its traces.
    await requests.getByRole("button", { name: "Requests as a table" }).click();
    const filled = requests.locator("tbody tr", { hasNot: page.locator("td", { hasText: /^0$/ }) });
    await filled.first().getByRole("link").click();
    await page.locator(".table-row").first().waitFor();
    assert.match(address(page).searchParams.get("range"), /^\d{4}-.+\.\.\d{4}-/);
    await page.goBack();
    await until("back", () => address(page).pathname, "/overview");

    // A drag across a chart becomes the range, Back takes it away; a click opens the traces of a bucket.
    await until("drawn again", () => page.locator(".chart .u-over").count(), 6);
    const plot = await requests.locator(".u-over").boundingBox();
    await page.mouse.move(plot.x + plot.width * 0.7, plot.y + 40);
    await page.mouse.down();
    await page.mouse.move(plot.x + plot.width * 0.9, plot.y + 40, { steps: 4 });
    await page.mouse.up();
    await until("zoomed", () => address(page).searchParams.get("range") ?? "", (range) => range.includes(".."));
    await page.goBack();
    await until("zoomed out", () => address(page).searchParams.get("range"), null);

    // Grouped: the legend narrows the filter.
    await page.getByRole("group", { name: "Grouped by" }).getByRole("button", { name: "Model" }).click();
    await requests.getByRole("button", { name: "gpt-4o-mini" }).click();
    await until("filtered", () => address(page).searchParams.get("q"), "model:gpt-4o-mini");
    assert.equal(await page.getByRole("combobox", { name: "Filter" }).inputValue(), "model:gpt-4o-mini");
    await page.goto(`${base}/overview?q=colour:red`);
    await until("the fault is told once", () => page.locator(".query-error").count(), 1);
    assert.equal(await page.locator(".notice-error").count(), 0);

    // Cost: the waterfall runs from one period to the other; what-if stays in the address.
    await page.keyboard.press("g");
    await page.keyboard.press("c");
    await page.locator(".waterfall-end").waitFor();
    assert.equal(await page.locator(".waterfall-start, .waterfall-end").count(), 2);
    await page.getByLabel("Model", { exact: true }).fill("gpt-4o-mini");
    await page.keyboard.press("Enter");
    await page.getByRole("button", { name: "Without gpt-4o-mini" }).waitFor();
    assert.equal(address(page).searchParams.get("if"), "gpt-4o-mini");

    // A budget is refused with the server's words, then kept, then gone.
    await page.getByRole("button", { name: "Add a budget" }).click();
    const form = page.getByRole("dialog", { name: "Add a budget" });
    await form.getByLabel("Name").fill("E2E budget");
    await form.getByLabel("Limit in US dollars").fill("25");
    await form.getByLabel("Only spans that fit").fill("colour:red");
    await form.getByRole("button", { name: "Add" }).click();
    await form.getByRole("alert").waitFor();
    await form.getByLabel("Only spans that fit").fill("model:gpt-4o-mini");
    await form.getByRole("button", { name: "Add" }).click();
    const budget = page.locator(".budget", { hasText: "E2E budget" });
    await budget.getByText("$25.00 per month").waitFor();
    await budget.getByRole("button", { name: "Delete E2E budget" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
    await until("deleted", () => budget.count(), 0);

    // Own GPUs: refused with the server's words, then priced per million tokens, then gone.
    await page.getByRole("button", { name: "Add GPUs" }).click();
    const gpus = page.getByRole("dialog", { name: "Add GPUs" });
    await gpus.getByLabel("Name").fill("E2E GPUs");
    await gpus.getByLabel("Type").fill("H200");
    await gpus.getByLabel("How many").fill("2");
    await gpus.getByLabel("Dollars per GPU and hour").fill("3.5");
    await gpus.getByLabel("Calls they serve").fill("colour:red");
    await gpus.getByLabel("Paid since").fill("2026-01-01T00:00");
    await gpus.getByRole("button", { name: "Add" }).click();
    await gpus.getByRole("alert").waitFor();
    await gpus.getByLabel("Calls they serve").fill("model:gpt-4o-mini");
    await gpus.getByRole("button", { name: "Add" }).click();
    const own = page.getByRole("row", { name: /E2E GPUs/ });
    assert.match(await own.innerText(), /2 × H200[\s\S]*model:gpt-4o-mini[\s\S]*\$3\.50[\s\S]*\$/);
    await own.getByText(/^gpt-4o-mini: \$/).waitFor();
    await own.getByRole("button", { name: "Delete E2E GPUs" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
    await until("gone", () => own.count(), 0);

    // A model without a price gets one, and what is stored is priced anew.
    await page.getByText("have no price and are in no sum").waitFor();
    await page.getByRole("button", { name: "Add a price" }).click();
    const price = page.getByRole("dialog", { name: "Add a price" });
    await price.getByLabel("Model").fill("claude-sonnet-4-5");
    await price.getByRole("button", { name: "Add" }).click();
    await price.getByRole("alert").waitFor();
    await price.getByLabel("Input, dollars").fill("3");
    await price.getByLabel("Output").fill("15.25");
    await price.getByRole("button", { name: "Add" }).click();
    await page.getByRole("row", { name: /^claude-sonnet-4-5/ }).getByText("$15.25").waitFor();
    const missing = () => page.locator(".tile", { hasText: "Without a price" }).locator(".tile-value").innerText();
    const before = await missing();
    await page.getByRole("button", { name: "Price stored calls anew" }).click();
    await page.getByText(/^Done: [1-9]\d* spans? of/).waitFor();
    await until("fewer without a price", missing, (now) => now !== before);
    await page.getByRole("button", { name: "Delete the price of claude-sonnet-4-5" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
    await page.getByText("the public list holds").waitFor();

    // Latency: the slowest call opens in its trace; a service level is made.
    await page.goto(`${base}/latency?q=service:everyday`);
    await page.getByRole("button", { name: "Add a service level" }).click();
    const level = page.getByRole("dialog", { name: "Add a service level" });
    await level.getByLabel("Name").fill("E2E level");
    await level.getByLabel("Objective in per cent").fill("99.9");
    await level.getByRole("button", { name: "Add" }).click();
    await page.locator(".slo", { hasText: "99.9% of requests succeed" }).waitFor();
    await page.locator("table", { hasText: "First token" }).getByRole("link", { name: "answer" }).first().click();
    await until("the trace", () => address(page).pathname, (path) => /^\/traces\/[0-9a-f]{32}$/.test(path));

    // Ingest: what works in the background is there and well.
    await page.goto(`${base}/ingest`);
    await page.getByRole("row", { name: /^rollup/ }).getByText("running").waitFor();
    assert.match(await page.locator(".tile", { hasText: "Spans accepted" }).locator(".tile-value").innerText(), /\d/);
  },
  { allow: /status of 400/ },
);

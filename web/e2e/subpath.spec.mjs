/** Below a sub-path of a proxy that strips it: pages, deep links, lazy parts, API and live all hold. */
import { createServer, request } from "node:http";
import { assert, base, run, seeded, sendChat, until } from "./lib.mjs";

const PREFIX = "/team/obs";
const target = new URL(base);
const outside = [];
const proxy = createServer((incoming, outgoing) => {
  if (!incoming.url.startsWith(`${PREFIX}/`)) {
    outside.push(incoming.url);
    outgoing.writeHead(404).end("not here");
    return;
  }
  const onward = request(
    { host: target.hostname, port: target.port, method: incoming.method, path: incoming.url.slice(PREFIX.length), headers: { ...incoming.headers, host: target.host } },
    (reply) => {
      outgoing.writeHead(reply.statusCode, reply.headers);
      reply.pipe(outgoing);
    },
  );
  onward.on("error", () => outgoing.destroy());
  outgoing.on("close", () => onward.destroy());
  incoming.pipe(onward);
});
await new Promise((resolve) => proxy.listen(0, "127.0.0.1", resolve));
const root = `http://127.0.0.1:${proxy.address().port}${PREFIX}`;

await run(async (open) => {
  const page = await open({ viewport: { width: 1280, height: 800 } });
  const { host } = new URL(root);
  page.removeAllListeners("request");
  await page.goto(`${root}/`);
  await page.waitForURL(`${root}/traces`);
  await page.locator(".table-row").first().click();
  await page.waitForURL(`${root}/traces/*`);
  await page.locator(".wf-row").first().waitFor();
  await page.goto(`${root}/traces/${seeded.trip}?span=${seeded.trip_chat}`);
  await page.reload();
  await page.locator(".side-output .markdown").waitFor();
  await page.getByRole("link", { name: "Setup" }).click();
  await page.waitForURL(`${root}/setup`);
  assert.match(await page.locator("#setup-panel").innerText(), new RegExp(`endpoint="http://${host}${PREFIX}"`));
  await page.goto(`${root}/traces?live=1&q=name:subpath*`);
  await page.getByText("Live: new traces appear on top").waitFor();
  await sendChat("subpath live", "does it arrive?", "yes");
  await until("live through the proxy", () => page.locator(".table-row .row-link").allInnerTexts(), (names) => names[0] === "subpath live");
  // Also addresses that no page has are pages of this prefix.
  await page.goto(`${root}/alerts/no-such-alert`);
  await page.getByText(/no alert/i).first().waitFor();
  await page.goto(`${root}/some/other/page`);
  await page.getByText("There is no such page").waitFor();
  await page.getByRole("link", { name: "Go to the traces" }).click();
  await page.waitForURL(`${root}/traces`);
  assert.deepEqual(outside.filter((path) => path !== "/favicon.ico"), []);
}, { allow: /status of 404/ });
proxy.closeAllConnections();
proxy.close();

// SPDX-License-Identifier: GPL-3.0-or-later
// A person at Chromium, whom a site sends to sign in with Cairn, and who then allows a program.
// node consent.mjs URL USER PASSWORD AUTHORIZE PORT: waits on PORT as the site would; prints what came, as one JSON object.
import { createServer } from "node:http";
import { chromium } from "playwright-core";

const [url, user, password, authorize, port] = process.argv.slice(2);
const seen = { came: [], console: [] };
createServer((request, reply) => {
  seen.came.push(request.url);
  reply.end("signed in");
}).listen(Number(port), "127.0.0.1");
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM || "/usr/bin/chromium", args: ["--no-sandbox", "--disable-gpu"] });

try {
  const page = await browser.newPage({ viewport: { width: 360, height: 740 } });
  page.setDefaultTimeout(120000);
  page.on("console", (line) => seen.console.push(line.text()));
  await page.goto(authorize);
  await page.fill("[name=user]", user);
  await page.fill("[name=password]", password);
  await page.click("form button:not([type=button])");
  await page.waitForURL(/oauth\/authorize/);
  await page.click("[value=allow]");
  await page.waitForURL(/callback/);
  const asked = await fetch(`${url}/oauth/device`, { method: "POST", body: new URLSearchParams({ client_id: "a-program" }) });
  await page.goto((await asked.json()).verification_uri_complete);
  await page.click("form button");
  await page.waitForSelector("[value=allow]");
  seen.overflows = await page.evaluate(() => document.documentElement.scrollWidth > document.documentElement.clientWidth);
  await page.click("[value=allow]");
  await page.waitForSelector("h1:text-is('Allowed')");
  seen.allowed = true;
  console.log(JSON.stringify(seen));
} finally {
  await browser.close();
}
process.exit(0);

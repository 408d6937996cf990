// SPDX-License-Identifier: GPL-3.0-or-later
// A person at Chromium, with a device for passkeys that exists in Chromium alone (WebAuthn section 11, virtual authenticators).
// node browser.mjs URL USER PASSWORD FOLDER: goes through signing in, and prints what it saw as one JSON object.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium } from "playwright-core";

const [url, user, password, pictures] = process.argv.slice(2);
const profile = mkdtempSync(join(tmpdir(), "cairn-browser-"));
const context = await chromium.launchPersistentContext(profile, {
  executablePath: process.env.CHROMIUM || "/usr/bin/chromium",
  headless: true,
  viewport: { width: 1100, height: 900 },
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync"],
});
const seen = { console: [] };

try {
  const page = context.pages()[0] ?? (await context.newPage());
  page.setDefaultTimeout(120000);
  page.on("console", (line) => seen.console.push(line.text()));
  page.on("pageerror", (problem) => seen.console.push(String(problem)));
  const devtools = await context.newCDPSession(page);
  await devtools.send("WebAuthn.enable");
  const device = await devtools.send("WebAuthn.addVirtualAuthenticator", {
    options: { protocol: "ctap2", transport: "internal", hasResidentKey: true, hasUserVerification: true, isUserVerified: true,
      automaticPresenceSimulation: true },
  });
  const look = async (name) => {
    await page.screenshot({ path: join(pictures, `${name}.png`), fullPage: true });
    await page.setViewportSize({ width: 360, height: 740 });
    await page.screenshot({ path: join(pictures, `${name}-phone.png`), fullPage: true });
    seen[`${name}Overflows`] = await page.evaluate(() => document.documentElement.scrollWidth > document.documentElement.clientWidth);
    await page.setViewportSize({ width: 1100, height: 900 });
  };

  await page.goto(`${url}/signin`);
  await look("form");
  await page.getByLabel("Name").fill(user);
  await page.getByLabel("Password").fill("not the right one");
  await page.getByRole("button", { name: "Sign in" }).click();
  seen.wrong = await page.getByRole("alert").textContent();
  await look("wrong");

  await page.getByLabel("Password").fill(password);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByRole("button", { name: "Sign out", exact: true }).waitFor();
  seen.byPassword = await page.locator(".top").textContent();

  await page.getByLabel("Name of a new one").fill("the device of the test");
  await page.getByRole("button", { name: "Register a passkey" }).click();
  await page.getByText("the device of the test").waitFor();
  const { credentials } = await devtools.send("WebAuthn.getCredentials", device);
  seen.credentials = credentials.map(({ rpId, isResidentCredential, signCount }) => ({ rpId, isResidentCredential, signCount }));
  await look("account");

  await page.getByRole("button", { name: "Sign out", exact: true }).click();
  await page.getByRole("button", { name: "Use a passkey" }).click();
  await page.getByRole("button", { name: "Sign out", exact: true }).waitFor();
  seen.byPasskey = await page.locator(".top").textContent();

  // A person whom the device does not know is not let in, and the page says so.
  await page.getByRole("button", { name: "Sign out", exact: true }).click();
  await page.getByRole("button", { name: "Use a passkey" }).waitFor();
  await devtools.send("WebAuthn.setUserVerified", { ...device, isUserVerified: false });
  await page.getByRole("button", { name: "Use a passkey" }).click();
  await page.locator("#trouble:not(:empty)").waitFor();
  seen.unverified = await page.getByRole("alert").textContent();
  seen.stillOut = await page.getByLabel("Password").isVisible();
} finally {
  await context.close();
  rmSync(profile, { recursive: true, force: true });
}
console.log(JSON.stringify(seen));

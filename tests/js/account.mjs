// SPDX-License-Identifier: GPL-3.0-or-later
// A person at Chromium, who looks after the account: tokens, password, codes, passkeys, sessions.
// node account.mjs URL USER PASSWORD FOLDER: prints what it saw as one JSON object.
import { createHmac } from "node:crypto";
import { join } from "node:path";
import jsQR from "jsqr";
import { chromium } from "playwright-core";

const [url, user, password, pictures] = process.argv.slice(2);
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM || "/usr/bin/chromium", args: ["--no-sandbox", "--disable-gpu"] });
const seen = { console: [], overflows: [], unnamed: [] };

function totp(secret, ahead = 0) {
  const digits = [...secret.replaceAll(" ", "")].map((c) => "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".indexOf(c).toString(2).padStart(5, "0")).join("");
  const key = Buffer.from(digits.match(/.{8}/g).map((byte) => parseInt(byte, 2)));
  const step = Buffer.alloc(8);
  step.writeBigUInt64BE(BigInt(Math.floor(Date.now() / 30000) + ahead));
  const digest = createHmac("sha1", key).update(step).digest();
  return String((digest.readUInt32BE(digest[19] & 15) & 0x7fffffff) % 1e6).padStart(6, "0");
}

// What a phone reads off the screen.
async function camera(context, png) {
  const page = await context.newPage();
  const { pixels, width, height } = await page.evaluate(async (url) => {
    const image = new Image();
    image.src = url;
    await image.decode();
    const canvas = document.createElement("canvas");
    const { width, height } = Object.assign(canvas, { width: image.width, height: image.height });
    const paper = canvas.getContext("2d");
    paper.drawImage(image, 0, 0);
    return { pixels: [...paper.getImageData(0, 0, width, height).data], width, height };
  }, `data:image/png;base64,${png.toString("base64")}`);
  await page.close();
  return jsQR(Uint8ClampedArray.from(pixels), width, height)?.data;
}

const works = async (token) => (await fetch(`${url}/api/whoami-v2`, { headers: { authorization: `Bearer ${token}` } })).status;

try {
  const context = await browser.newContext({ viewport: { width: 1100, height: 900 }, permissions: ["clipboard-read", "clipboard-write"] });
  const page = await context.newPage();
  page.setDefaultTimeout(60000);
  page.on("console", (line) => seen.console.push(line.text()));
  page.on("pageerror", (problem) => seen.console.push(String(problem)));
  const devtools = await context.newCDPSession(page);
  await devtools.send("WebAuthn.enable");
  await devtools.send("WebAuthn.addVirtualAuthenticator", {
    options: { protocol: "ctap2", transport: "internal", hasResidentKey: true, hasUserVerification: true, isUserVerified: true,
      automaticPresenceSimulation: true },
  });
  const button = (name, exact = true) => page.getByRole("button", { name, exact });
  const look = async (name) => {
    for (const [suffix, width] of [["", 1100], ["-phone", 360], ["-small", 320]]) {
      await page.setViewportSize({ width, height: 740 });
      if (suffix !== "-small") await page.screenshot({ path: join(pictures, `${name}${suffix}.png`), fullPage: true });
      const wide = await page.evaluate(() => document.documentElement.scrollWidth > document.documentElement.clientWidth);
      if (wide) seen.overflows.push(name + suffix);
    }
    await page.setViewportSize({ width: 1100, height: 900 });
    seen.unnamed.push(...(await page.evaluate(() => [...document.querySelectorAll("input:not([hidden]), select, textarea, button")]
      .filter((field) => !field.closest("[hidden], dialog:not([open])") && !(field.labels?.length || field.textContent.trim() || field.ariaLabel))
      .map((field) => field.outerHTML))));
  };

  await page.goto(`${url}/signin`);
  await page.getByLabel("Name").fill(user);
  await page.getByLabel("Password").fill(password);
  await button("Sign in").click();
  await button("Sign out").waitFor();
  await look("new");

  // A token.
  await page.getByText("Make a token").click();
  await page.getByLabel("Name", { exact: true }).fill("build <b>machine</b>");
  await page.getByLabel("It may").selectOption("write");
  await page.getByLabel("Ends after").selectOption("30");
  await page.getByLabel("Only for these").fill(`${user}/nothing-there`);
  await look("making");
  await button("Make it").click();
  await page.locator("#trouble:not(:empty)").waitFor();
  seen.noSuchRepo = await page.locator("#trouble").textContent();
  await page.getByLabel("Only for these").fill(`${user}:write`);
  await page.getByLabel("Only from these").fill("127.0.0.0/8\n::1");
  await button("Make it").click();
  await page.locator("#made").waitFor();
  const first = await page.locator("#made-token").textContent();
  seen.focused = await page.evaluate(() => document.activeElement.id);
  await button("Copy").click();
  await button("Copied").waitFor();
  seen.copied = (await page.evaluate(() => navigator.clipboard.readText())) === first;
  seen.first = [await works(first)];
  await look("made");
  await button("Done").click();
  await page.locator("#keys li[data-name]").waitFor();
  seen.listed = await page.locator("#keys").textContent();
  await look("listed");
  seen.stillShown = (await page.content()).includes(first.slice(20));

  // Its new secret, and its end; by keys alone.
  const press = async (name) => {
    await button(name).focus();
    await page.keyboard.press("Enter");
  };
  await press("New secret for build <b>machine</b>");
  await page.getByRole("dialog").waitFor();
  await look("rotating");
  await page.keyboard.press("Escape");
  await page.getByRole("dialog").waitFor({ state: "hidden" });
  seen.first.push(await works(first));
  await press("New secret for build <b>machine</b>");
  await page.getByLabel("The old one works on for").selectOption("0");
  await press("Make it");
  await page.locator("#made").waitFor();
  const second = await page.locator("#made-token").textContent();
  seen.first.push(await works(first));
  seen.second = [await works(second)];
  await press("Done");
  await page.locator("#made").waitFor({ state: "hidden" });
  await press("Revoke build <b>machine</b>");
  await page.getByRole("dialog").waitFor();
  await page.keyboard.press("Enter");
  await page.getByText("None yet.", { exact: true }).waitFor();
  seen.second.push(await works(second));

  // A password.
  await page.getByLabel("New password").fill(`${password} anew`);
  await button("Change it").click();
  await page.getByText("It is changed").waitFor();

  // Codes.
  await button("Set up").click();
  await page.locator("#confirm-codes").waitFor();
  const secret = await page.locator("#codes-secret").textContent();
  seen.link = await page.locator("#codes-link").getAttribute("href");
  await look("codes");
  seen.camera = await camera(context, await page.locator("#codes-qr").screenshot());
  await page.getByLabel("What the app shows now").fill("000000");
  await button("Turn on").click();
  await page.locator("#trouble:not(:empty)").waitFor();
  await page.getByLabel("What the app shows now").fill(totp(secret));
  await button("Turn on").click();
  await page.locator("#recovery").waitFor();
  const recovery = (await page.locator("#recovery code").textContent()).split("\n");
  seen.recovery = recovery.length;
  await look("recovery");
  await button("I have them").click();
  await button("Turn off").waitFor();
  await look("raise");
  seen.note = await page.locator(".note").textContent();

  // A passkey: that takes a person who shows more than the password by now.
  await page.getByLabel("Name of a new one").fill("my phone");
  await button("Register a passkey").click();
  await page.getByRole("dialog").waitFor();
  await page.getByLabel("Code", { exact: true }).fill("000000");
  await button("Go on").click();
  await page.locator("#again-trouble:not(:empty)").waitFor();
  seen.wrongCode = await page.locator("#again-trouble").textContent();
  await look("again");
  await page.getByLabel("Code", { exact: true }).fill(recovery[0]);
  await button("Go on").click();
  await page.getByText("my phone").waitFor();
  seen.level = await page.locator(".top").textContent();
  await look("all");

  // Another browser is seen, and sent away.
  const other = await browser.newContext({ userAgent: "Another browser" });
  const away = await other.newPage();
  await away.goto(`${url}/signin`);
  await away.getByLabel("Name").fill(user);
  await away.getByLabel("Password").fill(`${password} anew`);
  await away.getByLabel("One-time code").fill(recovery[1]);
  await away.getByRole("button", { name: "Sign in", exact: true }).click();
  await away.getByRole("button", { name: "Sign out", exact: true }).waitFor();
  await page.reload();
  await page.getByText("Another browser").waitFor();
  await button("Sign that browser out").click();
  await page.getByText("Another browser").waitFor({ state: "detached" });
  await away.reload();
  seen.other = await away.getByLabel("Password").isVisible();

  // In the dark, and without all of it again.
  await page.emulateMedia({ colorScheme: "dark" });
  await look("dark");
  await page.emulateMedia({ colorScheme: "light" });
  await button("Remove my phone").click();
  await button("Remove it").click();
  await page.getByText("my phone").waitFor({ state: "detached" });
  await button("Turn off").click();
  await button("Turn them off").click();
  await button("Set up").waitFor();
  await button("Sign out everywhere").click();
  await button("Sign out").last().click();
  await button("Sign in").waitFor();
  seen.out = true;

  // Who has no script still sees what there is.
  const plain = await browser.newContext({ javaScriptEnabled: false, viewport: { width: 360, height: 740 } });
  const quiet = await plain.newPage();
  await quiet.goto(`${url}/signin`);
  await quiet.getByLabel("Name").fill(user);
  await quiet.getByLabel("Password").fill(`${password} anew`);
  await quiet.getByRole("button", { name: "Sign in", exact: true }).click();
  await quiet.getByRole("heading", { name: "Tokens" }).waitFor();
  seen.plainButtons = await quiet.getByRole("button").allTextContents();
  await quiet.screenshot({ path: join(pictures, "plain.png"), fullPage: true });
  console.log(JSON.stringify(seen));
} finally {
  await browser.close();
}
process.exit(0);

// SPDX-License-Identifier: GPL-3.0-or-later
// What a form cannot do: passkeys, and changing one's account by the addresses that programs use. Signing in, and reading what is on the
// page, work without it.
"use strict";

const byId = (id) => document.getElementById(id);
const trouble = byId("trouble");

function complain(problem) {
  // The browser's own words for "the person has closed the dialog" help nobody.
  trouble.textContent = problem.name === "NotAllowedError" ? "The passkey was not used." : problem.message;
  trouble.scrollIntoView({ block: "center" });
}

async function send(method, path, body) {
  const how = { method };
  if (body) Object.assign(how, { headers: { "content-type": "application/json" }, body: JSON.stringify(body) });
  const answer = await fetch(path, how);
  const said = await answer.json();
  if (answer.ok) return said;
  throw Object.assign(new Error(said.error), { code: answer.headers.get("x-error-code") });
}

// What wants a person who has just shown who it is asks for that, and goes on.
async function ask(method, path, body) {
  try {
    return await send(method, path, body);
  } catch (problem) {
    if (problem.code !== "StepUp" || !byId("again")) throw problem;
    if (!(await isItYou())) throw new Error("Nothing was changed.");
    return send(method, path, body);
  }
}

// Passkeys.

async function usePasskey(purpose) {
  const options = await send("POST", "api/sessions/challenge", { purpose });
  const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(options);
  return (await navigator.credentials.get({ publicKey })).toJSON();
}

async function signIn() {
  await send("POST", "api/sessions", { passkey: await usePasskey("sign-in") });
}

async function register() {
  const options = await send("POST", "api/sessions/challenge", { purpose: "register" });
  const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(options);
  const passkey = (await navigator.credentials.create({ publicKey })).toJSON();
  await ask("POST", "api/settings/passkeys", { name: byId("passkey-name").value || "passkey", passkey });
}

const hasPasskeys = Boolean(window.PublicKeyCredential?.parseRequestOptionsFromJSON);
// Where the person was going: the page's own word, never the address bar's.
const next = document.querySelector("[name=next]")?.value || "signin";

function on(id, act) {
  const button = byId(id);
  button?.addEventListener("click", () => during(button, act));
}

async function during(button, act) {
  button.disabled = true;
  trouble.textContent = "";
  try {
    await act();
  } catch (problem) {
    complain(problem);
  }
  button.disabled = false;
}

if (hasPasskeys) {
  for (const id of ["with-passkey", "add-passkey"]) byId(id)?.removeAttribute("hidden");
  on("with-passkey", async () => {
    await signIn();
    location.assign(next);
  });
  on("new-passkey", async () => {
    await register();
    location.assign("signin");
  });
}

// Dialogs. Each promise is what the person has said.

function opened(dialog) {
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((say) => dialog.addEventListener("close", () => say(dialog.returnValue), { once: true }));
}

function sure(what, why, yes, rotates = false) {
  byId("sure-what").textContent = what;
  byId("sure-why").textContent = why;
  byId("sure-yes").textContent = yes;
  byId("overlap").hidden = !rotates;
  return opened(byId("sure"));
}

async function isItYou() {
  byId("again-trouble").textContent = "";
  byId("again-form").reset();
  return (await opened(byId("again"))) === "yes";
}

async function show(proof) {
  try {
    await send("POST", "api/sessions/step-up", await proof());
    byId("again").close("yes");
  } catch (problem) {
    byId("again-trouble").textContent = problem.name === "NotAllowedError" ? "The passkey was not used." : problem.message;
  }
}

byId("again-form")?.addEventListener("submit", (event) => {
  event.preventDefault();
  show(() => Object.fromEntries(new FormData(event.target)));
});
byId("again-no")?.addEventListener("click", () => byId("again").close(""));
byId("again-passkey")?.addEventListener("click", () => show(async () => ({ passkey: await usePasskey("step-up") })));

// What can be done with the account.

function showOnce(box) {
  box.hidden = false;
  box.focus();
}

function showToken(name, made) {
  byId("made-name").textContent = `${name}.`;
  byId("made-token").textContent = made.token;
  byId("keys").hidden = true; // it is not the list of now
  showOnce(byId("made"));
}

// For the camera of a phone. An address that is too long for it is still there to be typed.
function drawCode(text) {
  const grid = qrMatrix(text), box = byId("codes-qr");
  if (!grid) return;
  const svg = box.querySelector("svg");
  svg.setAttribute("viewBox", `-4 -4 ${grid.length + 8} ${grid.length + 8}`);
  const dark = grid.flatMap((row, y) => row.map((is, x) => (is ? `M${x} ${y}h1v1h-1z` : "")));
  svg.querySelector("path").setAttribute("d", dark.join(""));
  box.hidden = false;
}

const here = (button, name) => button.closest("li").dataset[name];
const keyPath = (name) => `api/settings/keys/${encodeURIComponent(name)}`;
const reload = () => location.assign("signin");

const acts = {
  async rotate(button) {
    const name = here(button, "name");
    const why = "It gets a new one, counts as this session, and lasts its days again from now on.";
    if (!(await sure(`A new secret for ${name}?`, why, "Make it", true))) return;
    const overlapDays = Number(document.querySelector("[name=overlap]").value);
    showToken(name, await ask("POST", `${keyPath(name)}/rotate`, { overlapDays }));
  },
  async revoke(button) {
    const name = here(button, "name");
    if (!(await sure(`Revoke ${name}?`, "Whatever uses it is refused from now on.", "Revoke it"))) return;
    await ask("DELETE", keyPath(name));
    reload();
  },
  async "codes-on"(button) {
    const made = await ask("POST", "api/settings/totp");
    byId("codes-secret").textContent = made.secret.replace(/.{4}(?=.)/g, "$& ");
    byId("codes-link").href = made.uri;
    drawCode(made.uri);
    button.parentElement.hidden = true;
    byId("confirm-codes").hidden = false;
    byId("confirm-codes").elements.code.focus();
  },
  async "codes-off"() {
    if (!(await sure("Turn codes off?", "Then your password alone lets in whoever has it.", "Turn them off"))) return;
    await ask("DELETE", "api/settings/totp");
    reload();
  },
  async "passkey-remove"(button) {
    if (!(await sure("Remove this passkey?", "It does not sign you in any more.", "Remove it"))) return;
    await ask("DELETE", `api/settings/passkeys/${here(button, "id")}`);
    reload();
  },
  async "session-end"(button) {
    await ask("DELETE", `api/sessions/${here(button, "id")}`);
    reload();
  },
  async "sessions-end"() {
    if (!(await sure("Sign out everywhere?", "Here, too. Tokens work on.", "Sign out"))) return;
    await ask("DELETE", "api/sessions");
    reload();
  },
  async raise() {
    if (await isItYou()) reload();
  },
};

for (const element of document.querySelectorAll(".scripted, .acts")) element.hidden = false;
for (const button of document.querySelectorAll("[data-act]"))
  button.addEventListener("click", () => during(button, () => acts[button.dataset.act](button)));
for (const button of document.querySelectorAll("[data-reload]")) button.addEventListener("click", reload);

function onSubmit(id, act) {
  const form = byId(id);
  form?.addEventListener("submit", (event) => {
    event.preventDefault();
    during(form.querySelector("button:not([type])"), () => act(form, Object.fromEntries(new FormData(form))));
  });
}

const lines = (text) => text.split(/[\n,]/).map((line) => line.trim()).filter(Boolean);

onSubmit("new-key", async (form, given) => {
  const repos = lines(given.repos), addresses = lines(given.addresses);
  const wanted = { name: given.name.trim(), role: given.role, days: Number(given.days), addresses, ...(repos.length && { repos }) };
  showToken(wanted.name, await ask("POST", "api/settings/keys", wanted));
  form.reset();
  form.closest("details").open = false;
});

onSubmit("new-password", async (form, given) => {
  await ask("POST", "api/settings/password", { password: given.password });
  form.reset();
  form.querySelector("[role=status]").textContent = "It is changed, and other browsers are signed out.";
});

onSubmit("confirm-codes", async (form, given) => {
  const made = await ask("POST", "api/settings/totp/confirm", { code: given.code.replaceAll(" ", "") });
  byId("recovery").querySelector("code").textContent = made.recoveryCodes.join("\n");
  byId("codes-are").hidden = form.hidden = true;
  showOnce(byId("recovery"));
});

on("copy", async () => {
  await navigator.clipboard.writeText(byId("made-token").textContent);
  byId("copy").textContent = "Copied";
});

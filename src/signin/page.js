// SPDX-License-Identifier: GPL-3.0-or-later
// Passkeys: the one thing on these pages that a form cannot do. Without it, everything else still works.
"use strict";

const trouble = document.getElementById("trouble");

async function ask(path, body) {
  const answer = await fetch(path, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  const said = await answer.json();
  if (!answer.ok) throw new Error(said.error);
  return said;
}

async function signIn() {
  const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(await ask("api/sessions/challenge", { purpose: "sign-in" }));
  const passkey = await navigator.credentials.get({ publicKey });
  await ask("api/sessions", { passkey: passkey.toJSON() });
}

async function register() {
  const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(await ask("api/sessions/challenge", { purpose: "register" }));
  const passkey = await navigator.credentials.create({ publicKey });
  const name = document.getElementById("passkey-name").value || "passkey";
  await ask("api/settings/passkeys", { name, passkey: passkey.toJSON() });
}

// Where the person was going: the page's own word, never the address bar's.
const next = document.querySelector("[name=next]")?.value || "signin";

function offer(id, act) {
  const button = document.getElementById(id);
  if (!button || !window.PublicKeyCredential?.parseRequestOptionsFromJSON) return;
  button.hidden = false;
  button.addEventListener("click", async () => {
    button.disabled = true;
    trouble.textContent = "";
    try {
      await act();
      location.assign(next);
    } catch (problem) {
      // The browser's own words for "the person has closed the dialog" help nobody.
      trouble.textContent = problem.name === "NotAllowedError" ? "The passkey was not used." : problem.message;
    }
    button.disabled = false;
  });
}

offer("with-passkey", signIn);
offer("new-passkey", register);

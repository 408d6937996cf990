// SPDX-License-Identifier: GPL-3.0-or-later
// Verifies a bundle that was signed by a key with Sigstore's own library, which knows nothing of models: arguments are the files of
// the bundle and of the public key. Prints the key's hint; the exit status is 1 and the reason on standard error when it does not hold.
import { createHash, createPublicKey } from "node:crypto";
import { readFileSync } from "node:fs";
import { bundleFromJSON } from "@sigstore/bundle";
import { toSignedEntity, toTrustMaterial, Verifier } from "@sigstore/verify";

const [, , bundleFile, keyFile] = process.argv;
const pem = readFileSync(keyFile, "utf8");
const known = createHash("sha256").update(pem).digest("hex");

function find(hint) {
  if (hint !== known) throw new Error(`the bundle names another key: ${hint}`);
  return { publicKey: createPublicKey(pem), validFor: () => true };
}

try {
  const nobody = { certificateAuthorities: [], timestampAuthorities: [], tlogs: [], ctlogs: [] };
  const none = { tlogThreshold: 0, ctlogThreshold: 0, timestampThreshold: 0 };
  const bundle = bundleFromJSON(JSON.parse(readFileSync(bundleFile, "utf8")));
  new Verifier(toTrustMaterial(nobody, find), none).verify(toSignedEntity(bundle));
  console.log(known);
} catch (error) {
  console.error(`${error.name}: ${error.message}`);
  process.exitCode = 1;
}

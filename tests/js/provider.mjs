// SPDX-License-Identifier: GPL-3.0-or-later
// An OpenID provider for the tests, by other people: oidc-provider with its pages for development, where any name and
// password signs in. Arguments: port, redirect address, the algorithm of its ID tokens, how the client proves who it is, and
// where all but its pages is, if that is another port of another name.
import { generateKeyPairSync } from "node:crypto";
import { Provider } from "oidc-provider";

const [port, redirect, alg, method, back] = process.argv.slice(2);
const jwk = (type, options, kid) => ({ ...generateKeyPairSync(type, options).privateKey.export({ format: "jwk" }), kid, use: "sig" });
const provider = new Provider(`http://localhost:${port}`, {
  jwks: { keys: [jwk("rsa", { modulusLength: 2048 }, "an-rsa-key"), jwk("ec", { namedCurve: "P-256" }, "an-ec-key")] },
  clients: [{
    client_id: "cairn-hub", client_secret: "a secret of the tests: 50% + more", redirect_uris: [redirect], application_type: "native",
    token_endpoint_auth_method: method, id_token_signed_response_alg: alg,
  }],
  cookies: { keys: ["only for tests"] },
  pkce: { required: () => true },
  conformIdTokenClaims: false,
  claims: { openid: ["sub"], profile: ["preferred_username", "name"], email: ["email"] },
  findAccount: (context, id) => ({
    accountId: id,
    claims: () => ({ sub: id, preferred_username: `${id}`, name: `${id} from elsewhere`, email: "alice@example.org", email_verified: true }),
  }),
});
if (back) {
  // As large providers are: people are sent to one host, programs to another. The paths stay.
  provider.use(async (context, next) => {
    await next();
    if (context.path !== "/.well-known/openid-configuration") return;
    for (const name of ["token_endpoint", "jwks_uri"]) context.body[name] = context.body[name].replace(`localhost:${port}`, `127.0.0.1:${back}`);
  });
  provider.listen(Number(back), "127.0.0.1");
}
provider.listen(Number(port), "127.0.0.1", () => console.log("ready"));

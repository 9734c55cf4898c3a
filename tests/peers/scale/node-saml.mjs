// Verifies one response of SAML again and again by npm's @node-saml/node-saml, and says what that takes of the processor.
//
// Usage: node-saml.mjs --asked FILE, with {"response", "certificate", "rounds", "batches"}, both first in base64. Prints
// microseconds a response: the least of the batches.

import { readFileSync } from "node:fs";
import { SAML } from "@node-saml/node-saml";
import { option } from "./arguments.mjs";

const asked = JSON.parse(readFileSync(option("asked"), "utf8"));
const provider = new SAML({
  callbackUrl: "acs",
  issuer: "sp",
  audience: "sp",
  idpIssuer: "idp",
  idpCert: asked.certificate,
  wantAuthnResponseSigned: false,
  // The response is of a fixed day.
  acceptedClockSkewMs: -1,
});
let least = Infinity;
for (let batch = 0; batch < asked.batches; batch += 1) {
  const before = process.cpuUsage();
  for (let round = 0; round < asked.rounds; round += 1) {
    const { profile } = await provider.validatePostResponseAsync({ SAMLResponse: asked.response });
    if (profile.nameID !== "ada") throw new Error(`signed in as ${profile.nameID}`);
  }
  const { user, system } = process.cpuUsage(before);
  least = Math.min(least, (user + system) / asked.rounds);
}
console.log(least);

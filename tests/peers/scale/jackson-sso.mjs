// @boxyhq/saml-jackson's sign-in by SAML behind HTTP, in memory: it is a library, and this is the least of a server.
//
// Usage: jackson-sso.mjs --port PORT --metadata FILE. Prints one line of JSON when it listens: {"path", "token"}.

import { readFileSync } from "node:fs";
import express from "express";
import jackson from "@boxyhq/saml-jackson";
import { option } from "./arguments.mjs";

const port = Number(option("port"));
const base = `http://127.0.0.1:${port}`;
const { connectionAPIController, oauthController } = await jackson.default({
  externalUrl: base,
  samlPath: "/acs",
  samlAudience: "https://figures.test",
  db: { engine: "mem" },
  noAnalytics: true,
});
const connection = await connectionAPIController.createSAMLConnection({
  tenant: "acme",
  product: "figures",
  rawMetadata: readFileSync(option("metadata"), "utf8"),
  defaultRedirectUrl: `${base}/done`,
  redirectUrl: JSON.stringify([`${base}/*`]),
});

const app = express();
app.use(express.urlencoded({ extended: false, limit: "1mb" }));
const answering = (answer) => (request, response) =>
  answer(request, response).catch((error) => response.status(500).send(String(error)));
app.get(
  "/login",
  answering(async (_, response) => {
    const asked = { response_type: "code", client_id: connection.clientID, redirect_uri: `${base}/done`, state: "s" };
    response.redirect(303, (await oauthController.authorize(asked)).redirect_url);
  }),
);
app.post(
  "/acs",
  answering(async (request, response) => {
    const { SAMLResponse, RelayState } = request.body;
    response.redirect(303, (await oauthController.samlResponse({ SAMLResponse, RelayState })).redirect_url);
  }),
);
app.post(
  "/token",
  answering(async (request, response) => {
    const token = await oauthController.token({
      grant_type: "authorization_code",
      code: request.body.code,
      redirect_uri: `${base}/done`,
      client_id: connection.clientID,
      client_secret: connection.clientSecret,
    });
    response.json(token);
  }),
);
app.listen(port, "127.0.0.1", () => console.log(JSON.stringify({ path: "/login", token: "" })));

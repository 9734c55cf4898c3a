// @boxyhq/saml-jackson's directory sync behind HTTP, in memory: it is a library, and this is the least of a server.
//
// Usage: jackson.mjs --port PORT. Prints one line of JSON when it listens: {"path", "token"}.

import express from "express";
import jackson from "@boxyhq/saml-jackson";
import { option } from "./arguments.mjs";

const port = Number(option("port"));
const { directorySyncController } = await jackson.default({
  externalUrl: `http://127.0.0.1:${port}`,
  samlPath: "/sso",
  scimPath: "/scim",
  samlAudience: "https://figures.test",
  db: { engine: "mem" },
  noAnalytics: true,
});
const made = await directorySyncController.directories.create({
  tenant: "acme",
  product: "figures",
  type: "generic-scim-v2",
});
if (made.error) throw new Error(made.error.message);
const directory = made.data;

const app = express();
app.use(express.json({ type: ["application/json", "application/scim+json"], limit: "32mb" }));
app.all("/scim/:directory/:type/:id?", async (request, response) => {
  const answer = await directorySyncController.requests.handle({
    method: request.method,
    body: request.body,
    directoryId: request.params.directory,
    resourceType: request.params.type.toLowerCase(),
    resourceId: request.params.id,
    apiSecret: request.headers.authorization?.replace("Bearer ", "") ?? null,
    query: {
      count: request.query.count ? Number(request.query.count) : undefined,
      startIndex: request.query.startIndex ? Number(request.query.startIndex) : undefined,
      filter: request.query.filter,
    },
  });
  response.status(answer.status);
  if (answer.data === undefined || answer.data === null) response.end();
  else response.json(answer.data);
});
app.listen(port, "127.0.0.1", () => {
  console.log(JSON.stringify({ path: `/scim/${directory.id}`, token: directory.scim.secret }));
});

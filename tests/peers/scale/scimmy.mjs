// scimmy-routers over maps in memory: its makers leave storage to whoever uses it, and this is the fastest there is.
//
// Usage: scimmy.mjs --port PORT. Prints one line of JSON when it listens: {"path", "token"}.

import express from "express";
import { randomUUID } from "node:crypto";
import SCIMMYRouters, { SCIMMY } from "scimmy-routers";
import { option } from "./arguments.mjs";

const port = Number(option("port"));
const token = "figures";

// People by id and by name, so that a look-up by name is one step as in a database with an index.
function kept(type, nameOf) {
  const byId = new Map();
  const byName = new Map();
  SCIMMY.Resources.declare(type, {
    egress: (resource) => {
      if (resource.id) {
        const found = byId.get(resource.id);
        if (!found) throw new SCIMMY.Types.Error(404, null, `Resource ${resource.id} not found`);
        return found;
      }
      const named = resource.filter?.[0]?.[nameOf];
      if (Array.isArray(named) && named[0] === "eq") {
        const found = byName.get(named[1].toLowerCase());
        return found ? [found] : [];
      }
      return [...byId.values()];
    },
    ingress: (resource, data) => {
      const plain = JSON.parse(JSON.stringify(data));
      const id = resource.id ?? randomUUID();
      const name = plain[nameOf]?.toLowerCase();
      const other = byName.get(name);
      if (other && other.id !== id) throw new SCIMMY.Types.Error(409, "uniqueness", `${name} is taken`);
      const now = new Date();
      const before = byId.get(id);
      const one = { ...plain, id, meta: { created: before?.meta.created ?? now, lastModified: now } };
      byId.set(id, one);
      byName.set(name, one);
      return one;
    },
    degress: (resource) => {
      const found = byId.get(resource.id);
      if (!found) throw new SCIMMY.Types.Error(404, null, `Resource ${resource.id} not found`);
      byName.delete(found[nameOf].toLowerCase());
      byId.delete(resource.id);
    },
  });
}

kept(SCIMMY.Resources.User, "userName");
kept(SCIMMY.Resources.Group, "displayName");

const app = express();
app.use("/scim", new SCIMMYRouters({
  type: "bearer",
  handler: (request) => {
    if (request.header("authorization") !== `Bearer ${token}`) throw new Error("not the token");
    return "figures";
  },
}));
app.listen(port, "127.0.0.1", () => console.log(JSON.stringify({ path: "/scim", token })));

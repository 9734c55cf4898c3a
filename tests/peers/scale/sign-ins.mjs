// Signs somebody in by SAML again and again, many at once, with a response made anew each time, and reads how much
// processor time a server's process took from the posts of the forms to the sessions.
//
// Usage: sign-ins.mjs --login URL --pid PID --folder FOLDER --rounds N --at-once N --kind ours|jackson
// The folder has `idp.key` and `idp.crt`. Prints a line of JSON a round: {"cpu_us", "wall_us", "bytes"} a sign-in.

import { readFileSync, readdirSync } from "node:fs";
import { inflateRawSync } from "node:zlib";
import saml20 from "@boxyhq/saml20";
import { option } from "./arguments.mjs";

const saml = saml20.default ?? saml20;
const [login, pid, kind] = ["login", "pid", "kind"].map(option);
const [rounds, atOnce] = ["rounds", "at-once"].map((name) => Number(option(name)));
const [privateKey, publicKey] = ["key", "crt"].map((end) => readFileSync(`${option("folder")}/idp.${end}`, "utf8"));
const sleep = (ms) => new Promise((done) => setTimeout(done, ms));
const cookiesOf = (answer) => answer.headers.getSetCookie().map((cookie) => cookie.split(";")[0]);

// The kernel adds up at its ticks, so a round is read some of them later.
const SETTLE_MS = 50;

function cpuUs() {
  const tasks = readdirSync(`/proc/${pid}/task`);
  const nanos = (task) => Number(readFileSync(`/proc/${pid}/task/${task}/schedstat`, "utf8").split(" ")[0]);
  return tasks.reduce((sum, task) => sum + nanos(task), 0) / 1000;
}

// The request that the server sends the browser away with, and what its provider answers to it.
async function prepared() {
  const page = await fetch(login, { redirect: "manual" });
  const to = new URL(page.headers.get("location"));
  const xml = inflateRawSync(Buffer.from(to.searchParams.get("SAMLRequest"), "base64")).toString();
  const value = (name) => xml.match(new RegExp(`${name}="([^"]+)"`))[1];
  const acs = value("AssertionConsumerServiceURL");
  const response = await saml.createSAMLResponse({
    audience: xml.match(/Issuer[^>]*>([^<]+)</)[1],
    issuer: "https://idp.test/entity",
    acsUrl: acs,
    requestId: value(" ID"),
    privateKey,
    publicKey,
    claims: {
      email: "ada@acme.test",
      raw: { id: "ada-1", email: "ada@acme.test", firstName: "Ada", lastName: "Abel" },
    },
  });
  const form = { SAMLResponse: Buffer.from(response).toString("base64"), RelayState: to.searchParams.get("RelayState") };
  return { acs, form, cookies: cookiesOf(page), bytes: Buffer.byteLength(response) };
}

const posted = (url, form, cookies) =>
  fetch(url, {
    method: "POST",
    redirect: "manual",
    body: new URLSearchParams(form).toString(),
    headers: { "content-type": "application/x-www-form-urlencoded", cookie: cookies.join("; ") },
  });

async function signedIn({ acs, form, cookies }) {
  const answer = await posted(acs, form, cookies);
  const next = answer.headers.get("location");
  if (answer.status !== 303 || !next) throw new Error(`${answer.status} ${await answer.text()}`);
  const to = new URL(next, acs);
  if (kind === "ours") {
    const headers = { cookie: [...cookies, ...cookiesOf(answer)].join("; ") };
    const arrived = await fetch(to, { redirect: "manual", headers });
    if (!cookiesOf(arrived).some((cookie) => cookie.includes("pc_session_"))) throw new Error(await arrived.text());
  } else {
    const token = await posted(new URL("/token", acs), { code: to.searchParams.get("code") }, []);
    if (!(await token.json()).access_token) throw new Error(`${token.status}`);
  }
}

for (let round = 0; round <= rounds; round += 1) {
  const ready = [];
  while (ready.length < atOnce) ready.push(await prepared());
  await sleep(SETTLE_MS);
  const [before, began] = [cpuUs(), performance.now()];
  await Promise.all(ready.map(signedIn));
  const wall = performance.now() - began;
  await sleep(SETTLE_MS);
  const [cpu_us, wall_us] = [cpuUs() - before, wall * 1000].map((us) => us / atOnce);
  // The first one warms up.
  if (round > 0) console.log(JSON.stringify({ cpu_us, wall_us, bytes: ready[0].bytes }));
}

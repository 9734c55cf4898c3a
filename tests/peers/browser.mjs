// A sign-in as a person does it: a real Chromium opens the hosted page, types an e-mail address and follows where it leads.
//
// Usage: browser.mjs --url URL --email ADDRESS --until PREFIX [--screenshot FILE.png] [--chromium PATH]
//   [--rules "MAP NAME 127.0.0.1"] [--forget BEGIN --at PREFIX]
//
// What only a browser finds out: a Content-Security-Policy that stops the way to the identity provider, a cookie that
// SameSite keeps back on the way home. Opens URL, fills the one e-mail field, submits its form, takes the first
// "Continue with …" that it is offered, and waits until the address begins with PREFIX. Prints one JSON object: {"url",
// "title", "status", "text", "cookies": [{"name", "domain", "path", "httpOnly", "secure", "sameSite"}], "errors": [what
// the page complained of]}. With --rules names are what they say, and any certificate will do; with --forget the browser
// loses the cookies whose names begin so when it comes to an address that begins with PREFIX. Exit status 0 only if PREFIX was reached without an error.

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { load, option } from "./npm.mjs";

const { chromium } = await load("playwright-core").then((loaded) => loaded.default);

// Loopback pages; what takes longer hangs.
const MAX_WAIT_MS = 20_000;
const MAX_TEXT_CHARACTERS = 4000;
// As root in a container, without the browser's own calls home.
const FLAGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

const until = option("until");
const rules = option("rules", "");
const forget = option("forget", "");
const profile = await mkdtemp(join(tmpdir(), "portcullis-browser-"));
const errors = [];
let reached = false;
let context;
try {
  context = await chromium.launchPersistentContext(profile, {
    executablePath: option("chromium", "/usr/bin/chromium"),
    headless: true,
    args: rules ? [...FLAGS, `--host-resolver-rules=${rules}`] : FLAGS,
    ignoreHTTPSErrors: rules !== "",
    timeout: MAX_WAIT_MS,
  });
  const page = context.pages()[0] ?? (await context.newPage());
  page.setDefaultTimeout(MAX_WAIT_MS);
  if (forget) {
    const at = option("at");
    await context.route((url) => url.href.startsWith(at), async (route) => {
      await context.clearCookies({ name: new RegExp(`^${forget}`) });
      await route.continue();
    });
  }
  let status = 0;
  page.on("console", (message) => message.type() === "error" && errors.push(`${message.text()} (${message.location().url})`));
  page.on("pageerror", (error) => errors.push(String(error)));
  page.on("response", (response) => {
    if (response.request().isNavigationRequest()) status = response.status();
  });
  await page.goto(option("url"));
  const field = page.locator('input[type="email"]');
  await field.fill(option("email"));
  await field.press("Enter");
  // The page names the ways in that the address has; a person takes the identity provider's.
  const way = page.getByRole("link", { name: /^Continue with / });
  await way.first().click();
  await page.waitForURL((url) => url.href.startsWith(until)).then(
    () => (reached = true),
    (error) => errors.push(String(error)),
  );
  const screenshot = option("screenshot", "");
  if (screenshot) await page.screenshot({ path: screenshot, fullPage: true });
  const cookies = (await context.cookies()).map(({ name, domain, path, httpOnly, secure, sameSite }) => ({
    name,
    domain,
    path,
    httpOnly,
    secure,
    sameSite,
  }));
  const text = (await page.innerText("body")).slice(0, MAX_TEXT_CHARACTERS);
  console.log(JSON.stringify({ url: page.url(), title: await page.title(), status, text, cookies, errors }));
} finally {
  await context?.close();
  await rm(profile, { recursive: true, force: true });
}
process.exit(reached && errors.length === 0 ? 0 : 1);

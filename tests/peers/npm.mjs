// Finds packages that `cargo xtask setup` installed into the build folder.
//
// An ES module looks for packages beside itself and upwards, and ours are not there: the source folder stays clean.

import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { createRequire } from "node:module";

/** Imports an npm package by name from the peers' folder. */
export async function load(name) {
  const peers = process.env.PORTCULLIS_TEST_PEERS ?? join(import.meta.dirname, "../../target/peers");
  const require = createRequire(join(peers, "node", "package.json"));
  return import(pathToFileURL(require.resolve(name)));
}

/** Reads the value of `--name VALUE` from the command line; ends the program if it is missing and has no default. */
export function option(name, fallback) {
  const at = process.argv.indexOf(`--${name}`);
  const value = at < 0 ? fallback : process.argv[at + 1];
  if (value === undefined) {
    console.error(`--${name} VALUE is missing`);
    process.exit(2);
  }
  return value;
}

/** Ends this program when whoever started it goes away, if it was started with `--until-stdin-closes`. */
export function endWithStarter() {
  if (!process.argv.includes("--until-stdin-closes")) return;
  process.stdin.resume();
  process.stdin.on("end", () => process.exit(0));
}

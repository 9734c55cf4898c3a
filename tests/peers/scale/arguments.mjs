/** Reads the value of `--name VALUE` from the command line; ends the program if it is missing. */
export function option(name) {
  const at = process.argv.indexOf(`--${name}`);
  if (at < 0 || process.argv[at + 1] === undefined) {
    console.error(`--${name} VALUE is missing`);
    process.exit(2);
  }
  return process.argv[at + 1];
}

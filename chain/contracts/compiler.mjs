// The pinned compiler and its settings: what the checked-in artifacts are built with, and what `bin/solc` answers to forge.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join, relative, sep } from "node:path";
import { fileURLToPath } from "node:url";

const require = createRequire(import.meta.url);

/** The directory of the contracts project. */
export const root = dirname(fileURLToPath(import.meta.url));

/** The compiler, loaded when it is first needed: it is 10 MB of WebAssembly. */
export const solc = () => require("solc");

/** The settings of a deployment. foundry.toml says the same to forge. */
export const settings = {
  evmVersion: "osaka",
  viaIR: true,
  optimizer: { enabled: true, runs: 800 },
  metadata: { bytecodeHash: "none", appendCBOR: false },
};

/** Reads an import: a path of this project, or of an npm package of the lock file. */
export function readSource(path) {
  const file = path.startsWith("@") ? join(root, "node_modules", path) : join(root, path);
  const inside = relative(root, file);
  if (inside.startsWith("..") || inside.split(sep).length < 2) throw new Error(`import outside the project: ${path}`);
  return readFileSync(file, "utf8");
}

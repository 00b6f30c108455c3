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

/** Compiles `entry` with everything it imports, as `source` reads it; throws on an error, and on a warning unless `strict` is false. */
export function compile(entry, source = readSource, strict = true) {
  const reached = new Map();
  const read = (path) => {
    try {
      const contents = source(path);
      reached.set(path, contents);
      return { contents };
    } catch (error) {
      return { error: String(error) };
    }
  };
  const input = {
    language: "Solidity",
    sources: { [entry]: { content: read(entry).contents } },
    settings: {
      ...settings,
      outputSelection: { [entry]: { "*": ["abi", "evm.bytecode.object", "evm.deployedBytecode.object"] } },
    },
  };
  const output = JSON.parse(solc().compile(JSON.stringify(input), { import: read }));
  // A library's warning is its authors' business; ours stop the build.
  const faults = (output.errors ?? []).filter((e) => e.severity === "error" || (strict && !e.sourceLocation?.file?.startsWith("@")));
  if (faults.length > 0) throw new Error(faults.map((e) => e.formattedMessage).join("\n"));
  return { contracts: output.contracts[entry] ?? {}, reached };
}

// Builds chain/artifacts/<Name>.json from src/, so that users of the Rust crates need neither node nor a compiler.
//
//   node build.mjs           writes the artifacts, and snapshots/sizes.json
//   node build.mjs --check   recompiles and fails when a checked-in artifact or size differs, is missing or has no source
//
// Either fails when a contract exceeds what can be deployed (EIP-170, EIP-3860).
//
// Each contract is compiled by itself with the imports it reaches, so its bytecode depends on nothing else in the tree.
// `sourceHash` is SHA-256 over the compiler's version and settings, the versions of the libraries, and the path and SHA-256
// of each of our own sources (`sources`), one per line: whoever has no compiler can still see that a source moved on.
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";

import { compile, readSource, root, settings, solc } from "./compiler.mjs";

const OUT = join(root, "..", "artifacts");
const SIZES = join(root, "snapshots", "sizes.json");
/** Nothing in these directories is deployed by itself. */
const NOT_DEPLOYED = ["src/interfaces/", "src/libraries/", "src/zksc/generated/parts/"];

const MAX_DEPLOYED_BYTES = 24_576;
const MAX_CREATION_BYTES = 49_152;

const byteLength = (object) => object.length / 2;
const sha256 = (text) => createHash("sha256").update(text).digest("hex");

function solidityFiles(directory) {
  return readdirSync(join(root, directory), { withFileTypes: true })
    .flatMap((entry) => {
      const path = `${directory}/${entry.name}`;
      return entry.isDirectory() ? solidityFiles(path) : path.endsWith(".sol") ? [path] : [];
    })
    .sort();
}

function libraryVersions(paths) {
  const names = paths.filter((p) => p.startsWith("@")).map((p) => p.split("/").slice(0, 2).join("/"));
  return [...new Set(names)].sort().map((name) => {
    const { version } = JSON.parse(readSource(`${name}/package.json`));
    return `${name} ${version}`;
  });
}

function artifact(contractName, contract, reached) {
  const paths = [...reached.keys()].sort();
  const sources = paths.filter((p) => !p.startsWith("@"));
  const lines = [
    `solc ${solc().version().replace(/\.Emscripten.*/, "")}`,
    `settings ${JSON.stringify(settings)}`,
    ...libraryVersions(paths),
    ...sources.map((p) => `${p} ${sha256(reached.get(p))}`),
  ];
  return {
    contractName,
    sourceHash: sha256(lines.map((line) => `${line}\n`).join("")),
    sources,
    abi: contract.abi,
    bytecode: `0x${contract.evm.bytecode.object}`,
    deployedBytecode: `0x${contract.evm.deployedBytecode.object}`,
  };
}

function buildAll() {
  const built = new Map();
  for (const entry of solidityFiles("src")) {
    if (NOT_DEPLOYED.some((prefix) => entry.startsWith(prefix))) continue;
    const { contracts, reached } = compile(entry);
    for (const [name, contract] of Object.entries(contracts)) {
      if (contract.evm.bytecode.object === "") continue; // abstract
      if (name !== basename(entry, ".sol")) throw new Error(`${entry}: one contract per file, named like the file: ${name}`);
      const { bytecode, deployedBytecode } = contract.evm;
      if (byteLength(deployedBytecode.object) > MAX_DEPLOYED_BYTES || byteLength(bytecode.object) > MAX_CREATION_BYTES) {
        throw new Error(`${name} is too large to deploy: ${byteLength(deployedBytecode.object)} bytes`);
      }
      if (built.has(name)) throw new Error(`two contracts are named ${name}`);
      built.set(name, `${JSON.stringify(artifact(name, contract, reached), null, 1)}\n`);
    }
  }
  return built;
}

/** Bytes of deployed code by contract: a change of size is seen in a review. */
function sizes(built) {
  const bytes = [...built].map(([name, text]) => [name, byteLength(JSON.parse(text).deployedBytecode) - 1]);
  return `${JSON.stringify({ limit: MAX_DEPLOYED_BYTES, ...Object.fromEntries(bytes.sort()) }, null, 2)}\n`;
}

function main() {
  const built = buildAll();
  mkdirSync(OUT, { recursive: true });
  const old = readdirSync(OUT).filter((f) => f.endsWith(".json"));
  const orphans = old.filter((f) => !built.has(basename(f, ".json")));
  if (process.argv.includes("--check")) {
    const differs = [...built].filter(([name, text]) => {
      const file = join(OUT, `${name}.json`);
      return !existsSync(file) || readFileSync(file, "utf8") !== text;
    });
    const faults = [...differs.map(([name]) => `${name}.json differs from its source`), ...orphans.map((f) => `${f} has no source`)];
    if (!existsSync(SIZES) || readFileSync(SIZES, "utf8") !== sizes(built)) faults.push("sizes.json differs from what is built");
    for (const fault of faults) console.error(`artifacts: ${fault} (run: npm run build)`);
    if (faults.length > 0) process.exit(1);
    console.log(`artifacts: ${built.size} are what the pinned compiler makes of the sources`);
    return;
  }
  for (const file of orphans) rmSync(join(OUT, file));
  writeFileSync(SIZES, sizes(built));
  for (const [name, text] of built) {
    writeFileSync(join(OUT, `${name}.json`), text);
    console.log(`${name}: ${byteLength(JSON.parse(text).deployedBytecode) - 1} bytes deployed`);
  }
}

main();

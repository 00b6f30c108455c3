// Writes what slither reads: the syntax trees of all sources under src/, in the form of a Foundry build, without generating code.
//
//   node analysis/ast.mjs DIRECTORY
//
// The library's transient reentrancy guard is replaced by analysis/ReentrancyGuardTransient.sol (see there); everything else is what
// is deployed.
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";

import { readSource, root, settings, solc } from "../compiler.mjs";

const GUARD = "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
const directory = process.argv[2];
if (directory === undefined) throw new Error("usage: node analysis/ast.mjs DIRECTORY");

const read = (path) => (path === GUARD ? readFileSync(join(root, "analysis/ReentrancyGuardTransient.sol"), "utf8") : readSource(path));

const reached = new Set();
function find(path) {
  try {
    const contents = read(path);
    reached.add(path);
    return { contents };
  } catch (error) {
    return { error: String(error) };
  }
}

const entries = readdirSync(join(root, "src"), { recursive: true })
  .filter((name) => name.endsWith(".sol"))
  .map((name) => `src/${name}`)
  .sort();
const input = {
  language: "Solidity",
  sources: Object.fromEntries(entries.map((path) => [path, { content: find(path).contents }])),
  settings: { ...settings, outputSelection: { "*": { "*": ["abi"], "": ["ast"] } } },
};
const output = JSON.parse(solc().compile(JSON.stringify(input), { import: find }));
const faults = (output.errors ?? []).filter((e) => e.severity === "error");
if (faults.length > 0) throw new Error(faults.map((e) => e.formattedMessage).join("\n"));

const nothing = { object: "", sourceMap: "" };
const contracts = {};
for (const [path, byName] of Object.entries(output.contracts)) {
  contracts[path] = Object.fromEntries(
    Object.entries(byName).map(([name, { abi }]) => [name, { abi, evm: { bytecode: nothing, deployedBytecode: nothing } }]),
  );
}
for (const path of reached) {
  const file = join(directory, path);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, read(path));
}
writeFileSync(join(directory, "foundry.toml"), "[profile.default]\n");
mkdirSync(join(directory, "out", "build-info"), { recursive: true });
const version = solc().version().split("+")[0];
writeFileSync(
  join(directory, "out", "build-info", "all.json"),
  JSON.stringify({ solcVersion: version, input: { language: "Solidity", settings }, output: { contracts, sources: output.sources } }),
);
console.log(`slither: ${entries.length} sources, ${reached.size - entries.length} of libraries`);

// Breaks the contracts in one place at a time and sees that the test which is said to notice does.
//
//   node analysis/mutants.mjs            every mutant of analysis/mutants.json
//   node analysis/mutants.mjs WORD...    those whose file, text or test contains one of the words
//
// A mutant is one replacement in one source; `killedBy` names a test that has to fail with it. The tests run compiled artifacts, so
// the project is copied once, its tests are compiled once, and each mutant is compiled and put in the artifact's place there. First all
// named tests must pass without a mutant. Nothing in the working tree is touched.
import { execFileSync, spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { compile, readSource, root } from "../compiler.mjs";

const words = process.argv.slice(2);
const all = JSON.parse(readFileSync(join(root, "analysis/mutants.json"), "utf8"));
const mutants = words.length === 0 ? all : all.filter((m) => words.some((word) => JSON.stringify(m).includes(word)));

const copy = mkdtempSync(join(tmpdir(), "mutants-"));
const project = join(copy, "contracts");

function prepare() {
  mkdirSync(project);
  for (const name of ["src", "test", "snapshots", "bin", "foundry.toml", "compiler.mjs", "package.json"]) {
    cpSync(join(root, name), join(project, name), { recursive: true });
  }
  rmSync(join(project, "test/symbolic"), { recursive: true });
  symlinkSync(join(root, "node_modules"), join(project, "node_modules"));
  cpSync(join(root, "../artifacts"), join(copy, "artifacts"), { recursive: true });
}

/** Runs the named tests ("a|b": both); true when all of them passed. Throws when one does not exist. */
function passes(names) {
  const tests = [...new Set(names.flatMap((name) => name.split("|")))];
  const run = spawnSync(join(root, "node_modules/.bin/forge"), ["test", "--match-test", `^(${tests.join("|")})\\(`, "--json"], {
    cwd: project,
    encoding: "utf8",
    maxBuffer: 1 << 28,
  });
  const line = run.stdout.split("\n").find((text) => text.startsWith("{"));
  if (line === undefined) throw new Error(`forge said nothing: ${run.stdout}${run.stderr}`);
  const results = Object.values(JSON.parse(line)).flatMap((contract) => Object.entries(contract.test_results));
  // a set-up that fails stands for every test behind it
  const ran = new Set(results.map(([name]) => name.split("(")[0]));
  const missing = tests.filter((name) => !ran.has(name) && !ran.has("setUp"));
  if (missing.length > 0) throw new Error(`no such test: ${missing.join(", ")}`);
  return results.every(([, { status }]) => status === "Success"); // two contracts may have tests of one name
}

/** Puts the contract, compiled with one source changed, in the artifact's place. */
function install(mutant) {
  const name = mutant.in ?? "Vipe";
  const entry = `src/${name.toLowerCase()}/${name}.sol`;
  let changed = 0;
  const source = (path) => {
    const text = readSource(path);
    if (path !== mutant.file) return text;
    const parts = text.split(mutant.find);
    changed = parts.length - 1;
    return parts.join(mutant.replace);
  };
  const { contracts } = compile(entry, source, false);
  if (changed !== 1) throw new Error(`${mutant.file}: "${mutant.find}" stands there ${changed} times, not once`);
  const { abi, evm } = contracts[name];
  const artifact = { abi, bytecode: `0x${evm.bytecode.object}`, deployedBytecode: `0x${evm.deployedBytecode.object}` };
  writeFileSync(join(copy, "artifacts", `${name}.json`), JSON.stringify(artifact));
}

function restore(mutant) {
  const name = mutant.in ?? "Vipe";
  cpSync(join(root, "../artifacts", `${name}.json`), join(copy, "artifacts", `${name}.json`));
}

function main() {
  execFileSync("node", [join(root, "build.mjs"), "--check"], { stdio: "inherit" });
  prepare();
  if (!passes(mutants.map((m) => m.killedBy))) throw new Error("a named test fails without a mutant");
  let survivors = 0;
  for (const mutant of mutants) {
    install(mutant);
    const killed = !passes([mutant.killedBy]);
    restore(mutant);
    if (!killed) survivors += 1;
    console.log(`${killed ? "killed  " : "SURVIVED"} ${mutant.what}  [${mutant.killedBy}]`);
  }
  console.log(`mutants: ${mutants.length - survivors} of ${mutants.length} killed by the test that is named`);
  if (survivors > 0) process.exitCode = 1;
}

try {
  main();
} finally {
  rmSync(copy, { recursive: true });
}

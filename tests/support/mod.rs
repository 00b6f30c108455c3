//! What the end-to-end tests share: the program, and servers that end with their test.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

/// The binary, built beside the tests.
pub(crate) fn watchtower() -> PathBuf {
    let tests = std::env::current_exe().expect("the test has a path");
    let folder = tests.ancestors().nth(2).expect("deps lies in the build folder");
    let binary = folder.join("watchtower");
    assert!(
        binary.is_file(),
        "{} is not built: cargo test --release --workspace --no-run",
        binary.display()
    );
    binary
}

/// A process of a test's own: ends with it.
pub(crate) struct Server(Child);

impl Server {
    /// Starts it, waits for the line that holds `ready`, and gives the one before it, or it, that holds `told`.
    pub(crate) fn start(command: &mut Command, told: &str, ready: &str) -> (Self, String) {
        let mut process = command
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?} does not start: {error}"));
        let output = process.stdout.take().expect("it has an output");
        let mut lines = BufReader::new(output).lines();
        let mut line = None;
        let mut is_ready = |text: &String| {
            if text.contains(told) {
                line = Some(text.clone());
            }
            text.contains(ready)
        };
        let found = lines.by_ref().map_while(Result::ok).any(|text| is_ready(&text));
        assert!(found, "{command:?} ended before it was ready");
        let line = line.unwrap_or_else(|| panic!("{command:?} has not told {told:?}"));
        // Whatever else it prints is read and dropped, so that it never waits for a reader.
        std::thread::spawn(move || lines.for_each(drop));
        (Self(process), line)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

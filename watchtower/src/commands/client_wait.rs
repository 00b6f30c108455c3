//! Waiting for what a node does, and saying what is waited for.

use std::io::Write as _;
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use super::client_http::{Client, failed};
use crate::cli::Common;
use crate::error::CommandError;

/// How long a command waits when it is asked to.
const WAIT_MAX: Duration = Duration::from_secs(1_800);
/// Between two looks.
pub(super) const LOOK_EVERY: Duration = Duration::from_millis(250);
/// What takes no longer is not worth a line.
const TELL_AFTER: Duration = Duration::from_secs(2);

/// Says what is done or waited for, to people only.
pub(super) fn progress(common: &Common, what: &str) {
    if !common.json {
        // A closed pipe is no reason to stop.
        let _ = writeln!(std::io::stderr(), "{what}");
    }
}

/// What a look at the node's answer has shown.
#[derive(Debug)]
pub(super) enum Look {
    /// It is done.
    Done,
    /// It is not; what it waits for, in words.
    Waits(String),
}

impl Look {
    /// Done, or waiting for this.
    pub(super) fn done_or(is_done: bool, waits: impl FnOnce() -> String) -> Self {
        if is_done { Self::Done } else { Self::Waits(waits()) }
    }
}

/// Says each thing that is waited for once, when it takes a while.
#[derive(Debug)]
struct Teller {
    words: String,
    since: Instant,
    is_told: bool,
}

impl Teller {
    fn new() -> Self {
        Self { words: String::new(), since: Instant::now(), is_told: true }
    }

    /// What is to be said now.
    fn hear(&mut self, words: String, now: Instant) -> Option<&str> {
        if words != self.words {
            (self.words, self.since, self.is_told) = (words, now, false);
        }
        if self.is_told || self.words.is_empty() || now.duration_since(self.since) < TELL_AFTER {
            return None;
        }
        self.is_told = true;
        Some(&self.words)
    }
}

/// Asks until a look shows that it is done.
pub(super) async fn until(
    client: &Client,
    path: &str,
    common: &Common,
    mut look: impl FnMut(&Value) -> Result<Look, String>,
) -> Result<Value, CommandError> {
    let deadline = Instant::now() + WAIT_MAX;
    let mut teller = Teller::new();
    loop {
        let answer = client.get(path).await?;
        match look(&answer).map_err(failed)? {
            Look::Done => return Ok(answer),
            Look::Waits(words) => {
                if let Some(words) = teller.hear(words, Instant::now()) {
                    progress(common, words);
                }
            }
        }
        if Instant::now() > deadline {
            return Err(failed(format!(
                "not done after {} s; it goes on in the node, ask again",
                WAIT_MAX.as_secs()
            )));
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_takes_a_while_is_said_once_and_what_comes_after_it_too() {
        let (mut teller, start) = (Teller::new(), Instant::now());
        let mut told = Vec::new();
        for (at, words) in [(0, "a"), (1, "a"), (2, "a"), (3, "a"), (4, "b"), (5, "c"), (7, "c")] {
            let now = start + Duration::from_secs(at);
            told.extend(teller.hear(words.to_owned(), now).map(|words| (at, words.to_owned())));
        }
        assert_eq!(told, [(2, "a".to_owned()), (7, "c".to_owned())]);
    }
}

//! Watching the tower: every step that it records becomes a step of the timeline.

use std::time::Duration;

use chain::calls::Status;
use eyre::bail;
use serde_json::Value;

use super::actions::Stage;
use super::rpc::LOOK_EVERY;
use super::timeline::{Fact, Timeline};
use super::tower::Tower;

/// How long any one thing may take before the demo gives up, in real time.
const PATIENCE: Duration = Duration::from_secs(120);

/// How long the demo waits for the tower's own word of what the chain shows already.
const OWN_WORD_WITHIN: Duration = Duration::from_secs(5);

/// The tower's journal, told as it grows.
#[derive(Debug)]
pub(super) struct Watch {
    told: usize,
    /// Which step the tower is to be killed after, counted from its first; none for never.
    kill_after: Option<Kill>,
}

/// A SIGKILL that is to come.
#[derive(Debug, Clone, Copy)]
pub(super) struct Kill {
    /// How long after the dispute was opened.
    pub(super) after: Duration,
    /// When the dispute was opened.
    pub(super) since: tokio::time::Instant,
}

impl Watch {
    pub(super) const fn new(kill_after: Option<Kill>) -> Self {
        Self { told: 0, kill_after }
    }

    /// Tells what happens until the vault holds `nonce` (or a newer one) against the dispute.
    pub(super) async fn until_overridden(
        &mut self,
        stage: &Stage<'_>,
        tower: &mut Tower,
        nonce: u64,
    ) -> eyre::Result<()> {
        let spinner = stage.timeline.progress("the tower works", 0);
        let deadline = tokio::time::Instant::now() + PATIENCE;
        while stage.dispute_view().await?.nonce.get() < nonce {
            self.look(stage, tower).await?;
            if tokio::time::Instant::now() > deadline {
                bail!(
                    "the tower did not override within {} s; its log is {}",
                    PATIENCE.as_secs(),
                    tower.log().display()
                );
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        spinner.finish_and_clear();
        // The tower reads its own success a moment later than we do; its word comes first.
        let deadline = tokio::time::Instant::now() + OWN_WORD_WITHIN;
        loop {
            let record = self.look(stage, tower).await?;
            let journal = record.get("journal").and_then(Value::as_array);
            let told = journal.is_some_and(|rows| {
                rows.iter().any(|row| {
                    text(row, "step") == "overridden" && text(row, "message").starts_with("our")
                })
            });
            if told || tokio::time::Instant::now() > deadline {
                return Ok(());
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Tells what happens until the channel is settled, and the tower has finished with the dispute if `to_the_end`.
    pub(super) async fn until_settled(
        &mut self,
        stage: &Stage<'_>,
        tower: &mut Tower,
        to_the_end: bool,
    ) -> eyre::Result<()> {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            let record = self.look(stage, tower).await?;
            let closed =
                record.pointer("/dispute/closed").and_then(Value::as_bool).unwrap_or(false);
            if stage.status().await? == Status::Settled && (closed || !to_the_end) {
                return self.look(stage, tower).await.map(|_record| ());
            }
            if tokio::time::Instant::now() > deadline {
                bail!(
                    "the dispute is not closed after {} s; the tower's log is {}",
                    PATIENCE.as_secs(),
                    tower.log().display()
                );
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Tells the steps that are new; kills and restarts the tower when its time has come. Returns the tower's record.
    async fn look(&mut self, stage: &Stage<'_>, tower: &mut Tower) -> eyre::Result<Value> {
        if let Some(kill) = self.kill_after
            && kill.since.elapsed() >= kill.after
        {
            self.kill_after = None;
            tower.kill().await?;
            stage.timeline.step(
                "demo",
                "kills the tower (SIGKILL)",
                &[Fact::took("after the dispute was opened", kill.after)],
            )?;
            tower.run().await?;
            stage.timeline.step("demo", "starts the tower again, with what its disk holds", &[])?;
        }
        let Some(record) = tower.dispute(stage.live.channel.id()).await else {
            return Ok(Value::Null);
        };
        let journal = record.get("journal").and_then(Value::as_array).cloned().unwrap_or_default();
        for row in journal.iter().skip(self.told) {
            tell(stage.timeline, "tower", row)?;
        }
        self.told = self.told.max(journal.len());
        Ok(record)
    }
}

/// One step of a tower's journal.
pub(super) fn tell(timeline: &Timeline, actor: &str, row: &Value) -> std::io::Result<()> {
    timeline.step(actor, &text(row, "message"), &facts(row))
}

fn text(row: &Value, field: &str) -> String {
    row.get(field).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn facts(row: &Value) -> Vec<Fact> {
    let number = |field: &str| row.get(field).and_then(Value::as_u64);
    let mut facts = Vec::new();
    if let Some(took) = number("took_us") {
        facts.push(Fact::took("time", Duration::from_micros(took)));
    }
    for (field, name) in [("block", "block"), ("gas", "gas"), ("bytes", "bytes")] {
        facts.extend(number(field).map(|count| Fact::count(name, count)));
    }
    if let Some(wei) = row.get("wei").and_then(Value::as_str).and_then(|wei| wei.parse().ok()) {
        facts.push(super::actions::ether("ether", wei));
    }
    facts
}

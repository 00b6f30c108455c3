//! A thousand updates: the handshake between two nodes, message by message, every signature on disk before it leaves.

use std::time::Instant;

use eyre::ensure;
use protocol::hash::Digest;
use protocol::zksc::handshake::Event;
use protocol::zksc::{Change, PaymentId, Salt, Transition};
use protocol::{Amount, Role};

use super::channel::{Live, Parties};
use super::node::{Node, fresh};
use super::plan::{SIDE_TOKENS, TOKEN, balance_after};
use super::timeline::{Fact, Timeline, decimal};

/// Both nodes of the channel.
pub(super) struct Nodes {
    pub(super) participant: Node,
    pub(super) counterparty: Node,
}

impl Nodes {
    /// Starts both nodes, each in a folder of its own.
    pub(super) fn start(
        folder: &std::path::Path,
        live: &Live,
        parties: &Parties,
    ) -> eyre::Result<Self> {
        let most = Amount::try_from(2 * SIDE_TOKENS * TOKEN)?;
        let start = |name: &str, signer: &protocol::zksc::Signer| {
            Node::start(&folder.join(name), live.channel, signer.clone(), live.ledger.clone(), most)
        };
        Ok(Self {
            participant: start("participant", &parties.participant)?,
            counterparty: start("counterparty", &parties.counterparty)?,
        })
    }

    /// Co-signs `count` updates along the demo's path.
    pub(super) async fn update(
        &mut self,
        live: &Live,
        count: u64,
        timeline: &Timeline,
    ) -> eyre::Result<()> {
        let bar = timeline.progress("updates", count);
        let (began, mut bytes, mut messages) = (Instant::now(), 0, 0);
        for n in 1..=count {
            let transition = transition(live, n, count)?;
            let mut waiting: Vec<(Role, Vec<u8>)> = self
                .participant
                .take(Event::Update(transition))
                .await?
                .into_iter()
                .map(|sent| (Role::Counterparty, sent))
                .collect();
            while let Some((to, message)) = waiting.pop() {
                (bytes, messages) = (bytes + message.len(), messages + 1);
                let node = match to {
                    Role::Participant => &mut self.participant,
                    Role::Counterparty => &mut self.counterparty,
                };
                waiting.extend(
                    node.receive(&message).await?.into_iter().map(|sent| (to.other(), sent)),
                );
            }
            ensure!(
                self.participant.latest()?.state().nonce.get() == n,
                "update {n} did not become final"
            );
            ensure!(
                self.participant.latest()? == self.counterparty.latest()?,
                "the nodes disagree after update {n}"
            );
            bar.inc(1);
        }
        bar.finish_and_clear();
        let took = began.elapsed();
        let shown = |n: u64| decimal(balance_after(n, count), super::plan::TOKEN_DECIMALS, 0);
        let low = shown(count * 3 / 10);
        timeline.step(
            "both",
            &format!("co-sign {count} updates; the participant's balance falls from {} to {low}, then recovers to {} DEMO", shown(0), shown(count)),
            &[
                Fact::took("time", took),
                Fact::took("per update, with 5 durable writes", took / u32::try_from(count.max(1))?),
                Fact::count("messages", messages),
                Fact::count("bytes per update", bytes as u64 / count.max(1)),
            ],
        )?;
        Ok(())
    }
}

/// The transition that brings the balance to where the path has it after update `n`.
fn transition(live: &Live, n: u64, count: u64) -> eyre::Result<Transition> {
    let (before, after) = (balance_after(n - 1, count), balance_after(n, count));
    let payment = PaymentId(fresh());
    let change = if after >= before {
        Change::Credit(Amount::try_from(after - before)?, payment)
    } else {
        Change::Debit(Amount::try_from(before - after)?, payment)
    };
    Ok(Transition {
        change,
        version: live.ledger.last(),
        salt: Salt::new(fresh()),
        content: Digest::default(),
    })
}

//! The stories: what happens on chain after the updates, and what must be true at the end.

use std::time::Duration;

use chain::calls::Status;
use eyre::{WrapErr as _, ensure, eyre};
use protocol::Role;
use protocol::backup::seal;
use protocol::zksc::FinalState;
use rand::Rng as _;
use serde_json::json;

use super::actions::{Opening, Stage};
use super::holdings::{Holdings, Outcome, signed_ether};
use super::node::{Node, fresh};
use super::plan::{Cast, Scenario};
use super::timeline::Fact;
use super::tower::Tower;
use super::updates::Nodes;
use super::watch::{Kill, Watch};

/// Within how much time of the opening the tower may be killed: seeing, proving, sending and waiting for a block take about so long;
/// the settlement comes after it.
const KILL_WITHIN: Duration = Duration::from_secs(3);

/// One telling.
pub(super) struct Story<'a> {
    pub(super) stage: Stage<'a>,
    pub(super) cast: Cast,
    pub(super) nodes: Nodes,
    pub(super) tower: Option<Tower>,
    pub(super) kill: bool,
}

/// How it ended: the numbers, and whether that is what the scenario promises.
pub(super) struct Ending {
    pub(super) ok: bool,
    pub(super) verdict: String,
    pub(super) outcome: Outcome,
}

/// How long it is until then, in days, rounded.
fn days(until: u64) -> String {
    const DAY_S: u64 = 86_400;
    let left = until.saturating_sub(crate::clock::now_s());
    format!("{} days", (left + DAY_S / 2) / DAY_S)
}

impl Story<'_> {
    /// The participant's newest state goes to the tower, encrypted.
    pub(super) async fn back_up(&self) -> eyre::Result<()> {
        let Some(tower) = &self.tower else { return Ok(()) };
        let (node, live): (&Node, _) = (&self.nodes.participant, self.stage.live);
        let began = std::time::Instant::now();
        let envelope =
            seal(node.latest()?, &live.channel, &live.dispute_key, &node.signer, &fresh())?;
        let sealed = began.elapsed();
        let receipt = tower.back_up(&envelope, &live.channel).await?;
        let nonce = envelope.header().nonce.get();
        self.stage.timeline.step(
            "participant",
            "backs up its latest state, encrypted, and gets the tower's signed receipt",
            &[
                Fact::count("nonce", nonce),
                Fact::count("bytes", envelope.to_bytes().len() as u64),
                Fact::took("sealing", sealed),
                Fact::new("receipt good for", days(receipt.receipt().until)),
            ],
        )?;
        Ok(())
    }

    /// Tells the scenario to its end.
    pub(super) async fn tell(&mut self, scenario: Scenario) -> eyre::Result<Ending> {
        match scenario {
            Scenario::Stale => self.stale().await,
            Scenario::HonestExit => self.honest_exit().await,
            Scenario::SelfOverride => self.attacker_moves_first(false).await,
            Scenario::DipAndRaise => self.attacker_moves_first(true).await,
            Scenario::CopiedProof => self.copied_proof().await,
            Scenario::LateOverride => self.late_override().await,
        }
    }

    fn newest(&self) -> eyre::Result<FinalState> {
        Ok(*self.nodes.participant.latest()?)
    }

    /// A state that the attacker kept.
    fn kept(&self, nonce: u64) -> eyre::Result<FinalState> {
        Ok(*self.nodes.counterparty.at(nonce)?)
    }

    fn the_tower(&mut self) -> eyre::Result<&mut Tower> {
        self.tower.as_mut().ok_or_else(|| eyre!("this story needs a tower"))
    }

    async fn attack(&self) -> eyre::Result<(Opening, FinalState)> {
        let stale = self.kept(self.cast.stale)?;
        self.stage.timeline.step("participant", "goes offline", &[])?;
        let opening = self
            .stage
            .open_dispute(
                Role::Counterparty,
                &stale,
                "opens a dispute with an old state that both really signed",
            )
            .await?;
        Ok((opening, stale))
    }

    async fn stale(&mut self) -> eyre::Result<Ending> {
        let before = Holdings::take(self.stage.world).await?;
        let (opening, stale) = self.attack().await?;
        let kill = self.kill.then(|| Kill {
            after: rand::thread_rng().gen_range(Duration::ZERO..KILL_WITHIN),
            since: tokio::time::Instant::now(),
        });
        self.rescue(kill).await?;
        self.rescued(&before, &stale, opening).await
    }

    /// The tower overrides, the window closes, the tower settles and collects; the others collect.
    async fn rescue(&mut self, kill: Option<Kill>) -> eyre::Result<()> {
        let mut watch = Watch::new(kill);
        let live = self.cast.live;
        let mut tower = self.tower.take().ok_or_else(|| eyre!("this story needs a tower"))?;
        let told = async {
            watch.until_overridden(&self.stage, &mut tower, live).await?;
            self.stage.pass_window().await?;
            watch.until_settled(&self.stage, &mut tower, true).await?;
            self.stage.collect().await
        };
        let told = told.await;
        self.tower = Some(tower);
        told
    }

    async fn rescued(
        &mut self,
        before: &Holdings,
        stale: &FinalState,
        opening: Opening,
    ) -> eyre::Result<Ending> {
        let outcome =
            Outcome::take(&self.stage, before, &self.newest()?, Some(stale), opening).await?;
        let ok = outcome.participant_whole && outcome.tower_paid;
        let verdict = if ok {
            format!(
                "The participant is whole and the tower earned {} ETH.",
                signed_ether(outcome.tower_profit).trim_start_matches('+')
            )
        } else {
            format!(
                "FAILED: participant whole: {}, tower paid: {}.",
                outcome.participant_whole, outcome.tower_paid
            )
        };
        Ok(Ending { ok, verdict, outcome })
    }

    async fn honest_exit(&mut self) -> eyre::Result<Ending> {
        let before = Holdings::take(self.stage.world).await?;
        let live = self.newest()?;
        self.nodes.participant.take(protocol::zksc::handshake::Event::Stop).await?;
        let opening = self
            .stage
            .open_dispute(
                Role::Participant,
                &live,
                "decides to leave: signs nothing more, and opens a dispute with its newest state",
            )
            .await?;
        self.stage.pass_window().await?;
        self.stage.settle("participant", &self.stage.world.accounts.participant.clone()).await?;
        let (rpc, participant) =
            (&self.stage.world.chain.rpc, self.stage.world.accounts.participant.address());
        let returned = self
            .stage
            .world
            .vipe
            .ether_credit(rpc, participant, chain::provider::At::Latest)
            .await?;
        // To the wei: fee, bond, and what was sent beyond them.
        let everything = returned == opening.sent;
        self.stage.timeline.step(
            "vault",
            "credits fee and bond back",
            &[super::actions::ether("credit", returned)],
        )?;
        self.stage.collect().await?;
        let outcome = Outcome::take(&self.stage, &before, &live, None, opening).await?;
        let ok = outcome.exact && everything;
        let verdict = if ok {
            "Everything returned: both sides have exactly their claims, fee and bond came back to the wei.".to_owned()
        } else {
            format!("FAILED: exact: {}, fee and bond back: {everything}.", outcome.exact)
        };
        Ok(Ending { ok, verdict, outcome })
    }

    /// The attacker uses the moment in which the tower restarts: its friend lowers the claim and, with `raise`, it raises it again.
    async fn attacker_moves_first(&mut self, raise: bool) -> eyre::Result<Ending> {
        let before = Holdings::take(self.stage.world).await?;
        self.the_tower()?.stop().await?;
        self.stage.timeline.step(
            "demo",
            "stops the tower for a moment, so that the attacker is first",
            &[],
        )?;
        let (opening, stale) = self.attack().await?;
        let (dip, high) = (self.kept(self.cast.dip)?, self.kept(self.cast.raise)?);
        let accounts = &self.stage.world.accounts;
        let friend = accounts.friend.address();
        self.stage
            .override_with_state(
                "friend",
                &accounts.friend,
                &dip,
                friend,
                "lowers the attacker's claim, to take the reward before a tower does",
            )
            .await?;
        if raise {
            self.stage
                .override_with_state(
                    "counterparty",
                    &accounts.counterparty,
                    &high,
                    accounts.counterparty.address(),
                    "raises its claim again with a newer state; it must bring the bond for it",
                )
                .await?;
        }
        self.the_tower()?.run().await?;
        self.stage.timeline.step("demo", "starts the tower again; it catches up", &[])?;
        self.rescue(None).await?;
        self.rescued(&before, &stale, opening).await
    }

    async fn copied_proof(&mut self) -> eyre::Result<Ending> {
        let before = Holdings::take(self.stage.world).await?;
        let (opening, stale) = self.attack().await?;
        let chain = &self.stage.world.chain;
        // Blocks on demand, so that the transaction waits in the mempool for as long as a thief needs.
        chain.raw("evm_setIntervalMining", json!([0])).await?;
        let stolen = self.steal().await;
        chain.raw("evm_setIntervalMining", json!([1])).await?;
        stolen?;
        self.rescue(None).await?;
        let mut ending = self.rescued(&before, &stale, opening).await?;
        ensure!(ending.outcome.thief_empty || !ending.ok, "the thief gained ether");
        ending.verdict = format!("{} The thief paid for gas and earned nothing.", ending.verdict);
        Ok(ending)
    }

    /// Waits for the tower's override in the mempool and sends the same calldata at a higher price.
    async fn steal(&self) -> eyre::Result<()> {
        let (chain, accounts, vipe) =
            (&self.stage.world.chain, &self.stage.world.accounts, self.stage.world.vipe.address);
        let waiting = async {
            loop {
                if let Some(data) = chain.pending_call(accounts.tower.address(), vipe).await? {
                    return eyre::Ok(data);
                }
                tokio::time::sleep(super::rpc::LOOK_EVERY).await;
            }
        };
        let data = tokio::time::timeout(Duration::from_secs(90), waiting)
            .await
            .wrap_err("the tower's override never showed in the mempool")??;
        let bytes = data.len() as u64;
        let hash = chain.outbid(&accounts.thief, vipe, data, 10_000_000, 50_000_000_000).await?;
        chain.raw("evm_mine", json!([])).await?;
        let receipt = chain.mined(hash).await?;
        ensure!(receipt.success, "the thief's copy was not included first");
        self.stage.timeline.step(
            "thief",
            "copies the tower's transaction out of the mempool, pays more, and is mined first",
            &[
                Fact::count("bytes", bytes),
                Fact::count("block", receipt.block.number),
                Fact::count("gas", receipt.gas_used),
            ],
        )?;
        Ok(())
    }

    async fn late_override(&mut self) -> eyre::Result<Ending> {
        let before = Holdings::take(self.stage.world).await?;
        let live = self.newest()?;
        let (opening, stale) = self.attack().await?;
        self.stage.pass_window().await?;
        let latecomer = self.stage.world.accounts.tower.clone();
        let reason = self.stage.refused_override(&latecomer, &live).await?;
        self.stage.timeline.step(
            "latecomer",
            "brings the live state after the deadline: refused",
            &[Fact::new("reason", reason.clone())],
        )?;
        self.stage.settle("counterparty", &self.stage.world.accounts.counterparty.clone()).await?;
        self.stage.collect().await?;
        let outcome = Outcome::take(&self.stage, &before, &live, Some(&stale), opening).await?;
        let closed =
            reason.contains("WindowClosed") && self.stage.status().await? == Status::Settled;
        let ok = closed && !outcome.participant_whole;
        let verdict = if ok {
            "The late override was refused. With no tower awake in the window, the stale state was paid: that is what towers are for.".to_owned()
        } else {
            format!("FAILED: the override was not refused for its lateness: {reason}.")
        };
        Ok(Ending { ok, verdict, outcome })
    }
}

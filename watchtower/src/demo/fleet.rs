//! Several towers: a backup that reaches all of them through the network, towers that die, one that comes back empty, and a
//! race that one of them wins while the others spend nothing.

use std::path::Path;
use std::time::{Duration, Instant};

use alloy_primitives::{Address, B256};
use chain::calls::Status;
use eyre::{bail, ensure, eyre};
use protocol::Role;
use protocol::backup::{Envelope, seal};
use protocol::vnode::turn::Order;
use serde_json::Value;

use super::actions::Stage;
use super::holdings::{Holdings, Outcome};
use super::node::fresh;
use super::plan::Cast;
use super::purse::{Purse, settle_up};
use super::rpc::LOOK_EVERY;
use super::story::Ending;
use super::submitter::Submitter;
use super::timeline::{Fact, Timeline};
use super::tower::{Member, RACE_SLOT_S, Tower};
use super::updates::Nodes;
use super::watch;
use super::world::{WINDOW_S, World};

/// How long any one thing may take before the demo gives up, in real time: several towers prove on the same cores.
const PATIENCE: Duration = Duration::from_secs(240);

/// Towers that live to the end: one that was never away, and one that lost its disk.
const LEFT: usize = 2;

/// All towers, in the order in which they were started.
pub(super) struct Fleet {
    pub(super) towers: Vec<Tower>,
}

/// The tower's name in the story.
pub(super) fn name(index: usize) -> String {
    format!("tower {}", index + 1)
}

impl Fleet {
    /// Starts `count` towers, each a process with its own folder, account and name; each knows the first two at first.
    pub(super) async fn start(
        world: &World,
        folder: &Path,
        deployment: &Path,
        count: usize,
        timeline: &Timeline,
    ) -> eyre::Result<Self> {
        let mut fleet = Self { towers: Vec::new() };
        for index in 0..count {
            let home = folder.join(format!("tower-{}", index + 1));
            super::copy_folder(&folder.join("circuit"), &home.join("circuits"))?;
            let mut bootstrap = Vec::new();
            for known in fleet.towers.iter().take(2) {
                bootstrap.push(known.place().await?);
            }
            let identity = (world.tower_key(index)?, Some(Member::new(bootstrap)?));
            let tower = Tower::start_as(world, &home, deployment, identity).await?;
            timeline.step(
                &name(index),
                "is ready, in a process of its own",
                &[
                    Fact::new("account", tower.account.to_string()),
                    Fact::new("name", tower.peer().await?),
                ],
            )?;
            fleet.towers.push(tower);
        }
        fleet
            .wait("the towers meet", async |tower| Ok(tower.towers_met().await? + 1 >= count))
            .await?;
        timeline.step("towers", "are all connected to each other", &[])?;
        Ok(fleet)
    }

    fn alive(&self) -> impl Iterator<Item = (usize, &Tower)> {
        self.towers.iter().enumerate().filter(|(_, tower)| tower.is_alive())
    }

    /// Waits until something is true of every tower that is alive.
    async fn wait(
        &self,
        what: &str,
        is_so: impl AsyncFn(&Tower) -> eyre::Result<bool>,
    ) -> eyre::Result<()> {
        let deadline = Instant::now() + PATIENCE;
        for (index, tower) in self.alive() {
            while !is_so(tower).await.unwrap_or(false) {
                if Instant::now() > deadline {
                    bail!(
                        "not within {} s: {what}; the log of {} is {}",
                        PATIENCE.as_secs(),
                        name(index),
                        tower.log().display()
                    );
                }
                tokio::time::sleep(LOOK_EVERY).await;
            }
        }
        Ok(())
    }

    /// Stops those that are alive.
    pub(super) async fn stop(&mut self) -> eyre::Result<()> {
        for tower in &mut self.towers {
            tower.stop().await?;
        }
        Ok(())
    }
}

/// Tells the story from the backup to the end.
pub(super) async fn tell(
    stage: &Stage<'_>,
    nodes: &Nodes,
    (cast, kill): (Cast, bool),
    fleet: &mut Fleet,
) -> eyre::Result<Ending> {
    let envelope = back_up(stage, nodes, fleet).await?;
    lose_towers(stage, fleet, &envelope).await?;
    stage.timeline.chapter("3. The dispute")?;
    let before = Holdings::take(stage.world).await?;
    let mut purses = Vec::new();
    for tower in &fleet.towers {
        purses.push(Purse::open(stage.world, tower.account).await?);
    }
    let stale = *nodes.counterparty.at(cast.stale)?;
    stage.timeline.step("participant", "goes offline", &[])?;
    let what = "opens a dispute with an old state that both really signed";
    let opening = stage.open_dispute(Role::Counterparty, &stale, what).await?;
    if kill {
        kill_first(stage, fleet, opening.block).await?;
    }
    race(stage, fleet, cast.live).await?;
    let live = *nodes.participant.latest()?;
    let outcome = Outcome::take(stage, &before, &live, Some(&stale), opening).await?;
    let ending = settle_up(stage, fleet, &purses, outcome).await?;
    fleet.stop().await?;
    Ok(ending)
}

/// The participant's node finds the towers on their network, hands each its backup, and counts their receipts.
async fn back_up(stage: &Stage<'_>, nodes: &Nodes, fleet: &Fleet) -> eyre::Result<Envelope> {
    let (node, live) = (&nodes.participant, stage.live);
    let count = fleet.towers.len();
    let mut places = Vec::new();
    for tower in fleet.towers.iter().take(2) {
        places.push(tower.place().await?);
    }
    let began = Instant::now();
    let submitter = Submitter::join(live.channel.domain(), &places, count).await?;
    stage.timeline.step(
        "participant",
        "finds the towers: it knows two of them, and hears of the others",
        &[Fact::count("towers", count as u64), Fact::took("time", began.elapsed())],
    )?;
    let envelope = seal(node.latest()?, &live.channel, &live.dispute_key, &node.signer, &fresh())?;
    let began = Instant::now();
    let status = submitter
        .replicate(&envelope, &live.channel, |status| {
            Ok(stage.timeline.step("participant", &status.to_string(), &[])?)
        })
        .await?;
    ensure!(status.held == count, "{status}");
    stage.timeline.step(
        "participant",
        "backed its latest state up, encrypted, and has every tower's signed receipt",
        &[Fact::count("nonce", status.nonce.get()), Fact::took("time", began.elapsed())],
    )?;
    fleet.wait("every tower holds the backup", async |tower| tower.holds(&envelope).await).await?;
    Ok(envelope)
}

/// All but two die; one of those two loses its disk, and gets the backup from the last one.
async fn lose_towers(
    stage: &Stage<'_>,
    fleet: &mut Fleet,
    envelope: &Envelope,
) -> eyre::Result<()> {
    let dead = fleet.towers.len().saturating_sub(LEFT);
    let mut places = Vec::new();
    for tower in &fleet.towers {
        places.push(tower.place().await?);
    }
    for (index, tower) in fleet.towers.iter_mut().enumerate().take(dead) {
        tower.kill().await?;
        stage.timeline.step(&name(index), "is killed (SIGKILL)", &[])?;
    }
    let empty = fleet.towers.get_mut(dead).ok_or_else(|| eyre!("too few towers"))?;
    empty.stop().await?;
    empty.lose_disk()?;
    // Its operator knows all towers; most of them are dead by now.
    places.remove(dead);
    empty.begin_with(places);
    let began = Instant::now();
    empty.run().await?;
    let ready = began.elapsed();
    stage.timeline.step(&name(dead), "comes back with an empty disk, and a new name", &[])?;
    fleet
        .wait("the empty tower holds the backup", async |tower| tower.holds(envelope).await)
        .await?;
    stage.timeline.step(
        &name(dead),
        "has reconciled: it holds the backup again",
        &[Fact::took("start to ready", ready), Fact::took("start to reconciled", began.elapsed())],
    )?;
    Ok(())
}

/// The tower whose turn it is dies before it has a proof: the next one in the order does its work.
async fn kill_first(stage: &Stage<'_>, fleet: &mut Fleet, block: B256) -> eyre::Result<()> {
    let order = Order::new(RACE_SLOT_S, WINDOW_S);
    let accounts: Vec<Address> = fleet.alive().map(|(_, tower)| tower.account).collect();
    let all = || accounts.iter().map(|account| account.as_slice());
    let is_first = |account: Address| order.wait_s(block, account.as_slice(), all()) == 0;
    for (index, tower) in fleet.towers.iter_mut().enumerate() {
        if tower.is_alive() && is_first(tower.account) {
            tower.kill().await?;
            let what = "is killed (SIGKILL): the order of this dispute has it first";
            stage.timeline.step(&name(index), what, &[])?;
        }
    }
    Ok(())
}

/// The towers that are left race; the window closes; whoever won settles and collects.
async fn race(stage: &Stage<'_>, fleet: &Fleet, live: u64) -> eyre::Result<()> {
    let deadline = Instant::now() + PATIENCE;
    let mut told = vec![0; fleet.towers.len()];
    while stage.dispute_view().await?.nonce.get() < live {
        journal(stage, fleet, &mut told).await?;
        ensure!(Instant::now() < deadline, "no tower overrode the dispute");
        tokio::time::sleep(LOOK_EVERY).await;
    }
    let stands = |record: &Value| {
        let step = record.pointer("/dispute/record/step");
        // Included has figures and is no word.
        step.is_some_and(|step| step.is_object() || step.as_str() == Some("beaten"))
    };
    fleet
        .wait("every tower knows that the live state stands", async |tower| {
            Ok(tower.dispute(stage.live.channel.id()).await.is_some_and(|record| stands(&record)))
        })
        .await?;
    journal(stage, fleet, &mut told).await?;
    stage.pass_window().await?;
    let deadline = Instant::now() + PATIENCE;
    while stage.status().await? != Status::Settled {
        journal(stage, fleet, &mut told).await?;
        ensure!(Instant::now() < deadline, "nobody settled");
        tokio::time::sleep(LOOK_EVERY).await;
    }
    stage.collect().await?;
    fleet
        .wait("the dispute is closed at every tower", async |tower| {
            let record = tower.dispute(stage.live.channel.id()).await.unwrap_or_default();
            Ok(record.pointer("/dispute/closed").and_then(Value::as_bool).unwrap_or(false))
        })
        .await?;
    journal(stage, fleet, &mut told).await
}

/// Tells what is new in the journals of the towers that are alive.
async fn journal(stage: &Stage<'_>, fleet: &Fleet, told: &mut [usize]) -> eyre::Result<()> {
    for ((index, tower), told) in
        fleet.towers.iter().enumerate().zip(told).filter(|((_, tower), _)| tower.is_alive())
    {
        let Some(record) = tower.dispute(stage.live.channel.id()).await else { continue };
        let rows = record.get("journal").and_then(Value::as_array).cloned().unwrap_or_default();
        for row in rows.iter().skip(*told) {
            watch::tell(stage.timeline, &name(index), row)?;
        }
        *told = rows.len().max(*told);
    }
    Ok(())
}

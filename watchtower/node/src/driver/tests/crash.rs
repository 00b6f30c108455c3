//! One payment from alice over the hub to bob, in which a node is killed at one of its durable writes, before or after it,
//! alone or with everybody, and comes back.
//!
//! After every such crash: the payment took place once, both ends of both channels agree, no money was made or lost, and
//! nobody said two signatures at one nonce (`hall` reads every frame; the store refuses the second in its own way).

use std::collections::BTreeMap;
use std::time::Duration;

use futures::StreamExt as _;
use protocol::Role;
use tempfile::TempDir;

use super::hall::Hall;
use super::machine::{Machine, kill_at};
use super::world::{SIDE, keys, own};
use crate::driver::Command;
use crate::error::{ApiError, NodeError};
use crate::kill::KillSwitch;

const PAID: u128 = 1_000;
/// Fewer durable writes than a hub or payer, and a payee, makes for one payment would show that the switch does not work.
const WRITES_MIN: u64 = 4;
const PAYEES_WRITES_MIN: u64 = 2;
/// Plays at the same time: they mostly wait.
const AT_ONCE: usize = 12;
/// Rounds after which a play that is not over never will be: half a minute, and more where much is played at once.
const ROUNDS_MAX: u32 = 1_500;

/// Who dies, when, and whether everybody dies with it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fate {
    pub(super) victim: usize,
    pub(super) write: u64,
    pub(super) after: bool,
    pub(super) everybody: bool,
}

fn pay() -> Command {
    let amount = Some(protocol::testing::amount(PAID));
    Command::Pay { channel: None, to: "2".to_owned(), amount, key: Some("rent".to_owned()) }
}

async fn received(machine: &Machine) -> bool {
    let all = machine.payments().await;
    assert!(all.len() <= 1, "one order is one payment");
    all.len() == 1 && all[0]["stage"] == "received"
}

struct World {
    _folder: TempDir,
    hall: Hall,
    all: [Machine; 3],
}

/// Hub, alice, bob: not started.
async fn world() -> World {
    let (folder, hall) = (tempfile::tempdir().unwrap(), Hall::default());
    let hub_keys = keys(9, Role::Counterparty);
    let (alice, bob) = (keys(1, Role::Participant), keys(2, Role::Participant));
    let both = [own(1, &alice, &hub_keys), own(2, &bob, &hub_keys)];
    let place = |name: &str| folder.path().join(name);
    let met = Some(hall.clone());
    let hub = Machine::new(&place("hub"), hub_keys, &both, met.clone()).await;
    let mut alice = Machine::new(&place("alice"), alice, &both[..1], met.clone()).await;
    let mut bob = Machine::new(&place("bob"), bob, &both[1..], met).await;
    let known = both.each_ref().map(|one| one.channel);
    hub.know(&known).await;
    for one in [&mut alice, &mut bob] {
        one.know(&known).await;
        one.introduce(&hub).await;
    }
    World { _folder: folder, hall, all: [hub, alice, bob] }
}

/// Whether both ends of both channels agree on the payment having taken place once.
async fn agree(all: &[Machine]) -> bool {
    let (hub, one, two) =
        (all[0].standings().await, all[1].standings().await, all[2].standings().await);
    let at = |all: &BTreeMap<u64, (u64, u128)>, channel: u64| all.get(&channel).copied();
    let pairs = [(at(&hub, 1), at(&one, 1)), (at(&hub, 2), at(&two, 2))];
    let [(Some(to), Some(from)), (Some(by), Some(of))] = pairs else { return false };
    (to.0, by.0) == (from.0, of.0)
        && (from.1, of.1) == (SIDE - PAID, SIDE + PAID)
        && (to.1, by.1) == (SIDE + PAID, SIDE - PAID)
}

/// One round of a play.
#[derive(Debug, Clone, Copy)]
pub(super) struct Round {
    /// The story is over, and the victim has not come to its write: something more must be written.
    pub(super) more: bool,
    /// The victim, and whoever died with it, was just started again.
    pub(super) revived: bool,
}

impl Round {
    /// Whether a chain that makes blocks only for transactions must make one: a node that has just started signs nothing before it
    /// has seen one.
    pub(super) const fn wants_block(self) -> bool {
        self.more || self.revived
    }
}

/// What is refused while a node has just started, or has nothing to do with what was asked for.
pub(super) fn is_expected(error: &ApiError) -> bool {
    [404, 409, 503].contains(&error.status)
}

/// A victim that has died comes back, and with it whoever died too. Whether it had.
async fn revive(all: &mut [Machine], fate: Fate) -> bool {
    if !all[fate.victim].is_dead() {
        return false;
    }
    let error = all[fate.victim].kill().await.unwrap();
    assert!(matches!(error, NodeError::Gone("a test")), "{fate:?}: {error}");
    for (at, machine) in all.iter_mut().enumerate() {
        if fate.everybody || at == fate.victim {
            assert!(machine.kill().await.is_none(), "{fate:?}: another one died by itself");
            machine.start(None).await;
        }
    }
    true
}

/// Plays rounds until one says that everything is as it must be, with all that are started and the victim dead and revived; whether
/// it died. One that has no write left to die at gets more of them.
pub(super) async fn play_out(
    all: &mut [Machine],
    (fate, switch): (Fate, &KillSwitch),
    mut round: impl AsyncFnMut(&mut [Machine], Round) -> bool,
) -> bool {
    let (mut crashes, mut is_over) = (0, false);
    for _ in 0..ROUNDS_MAX {
        let revived = revive(all, fate).await;
        crashes += u32::from(revived);
        let more = is_over && !revived;
        is_over = round(all, Round { more, revived }).await;
        if is_over && (crashes > 0 || !switch.is_armed()) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    if !is_over {
        for machine in all.iter() {
            println!("{}\n{:?}", machine.status().await, machine.channels().await);
        }
    }
    assert!(is_over, "{fate:?}: it never came to its end");
    for machine in all.iter_mut() {
        let error = machine.kill().await;
        assert!(error.is_none(), "{fate:?}: {error:?}");
    }
    assert!(crashes <= 1, "{fate:?}: it dies once");
    crashes == 1
}

/// Starts all, the victim with its switch.
pub(super) async fn start_all(all: &mut [Machine], fate: Fate, switch: &KillSwitch) {
    for (at, machine) in all.iter_mut().enumerate() {
        machine.start((at == fate.victim).then(|| switch.clone())).await;
    }
}

/// Plays it; whether the victim died.
async fn play(fate: Fate, switch: KillSwitch) -> bool {
    let mut world = world().await;
    start_all(&mut world.all, fate, &switch).await;
    let crashed = play_out(&mut world.all, (fate, &switch), async |all, round| {
        // The same order, again and again: it is carried out once.
        if let Some(Err(error)) = all[1].ask(pay()).await {
            assert!(is_expected(&error), "{error}");
        }
        if round.more {
            all[fate.victim].see(Vec::new()).await;
        }
        received(&all[1]).await && received(&all[2]).await && agree(all).await
    });
    let crashed = crashed.await;
    assert!(world.hall.states() >= 4, "{fate:?}: two updates were signed");
    crashed
}

/// Plays every fate of this victim: killed at each of its durable writes, of which there are at least `writes_min`, before and
/// after it, alone and with everybody. `play` says whether the victim died.
pub(super) async fn play_all<P, F>(victim: usize, writes_min: u64, play: P)
where
    P: Fn(Fate, KillSwitch) -> F,
    F: Future<Output = bool>,
{
    play_fates(victim, writes_min, &[false, true], play).await;
}

/// The same, with everybody or not as `crowds` says.
pub(super) async fn play_fates<P, F>(victim: usize, writes_min: u64, crowds: &[bool], play: P)
where
    P: Fn(Fate, KillSwitch) -> F,
    F: Future<Output = bool>,
{
    // How many there are when nothing happens to it.
    let (nothing, switch) =
        (Fate { victim, write: 0, after: false, everybody: false }, kill_at(0, false));
    assert!(!Box::pin(play(nothing, switch.clone())).await, "nobody was to die");
    let writes = switch.seen();
    println!("victim {victim}: {writes} durable writes");
    assert!(writes >= writes_min, "{writes} durable writes");
    let of_write = |write| {
        let fate = move |after, everybody| Fate { victim, write, after, everybody };
        crowds.iter().flat_map(move |crowd| [false, true].map(|after| fate(after, *crowd)))
    };
    let fates = (1..=writes).flat_map(of_write);
    let plays = fates.map(|fate| {
        let played = Box::pin(play(fate, kill_at(fate.write, fate.after)));
        async move { (fate, played.await) }
    });
    let began = std::time::Instant::now();
    let all: Vec<_> = futures::stream::iter(plays).buffer_unordered(AT_ONCE).collect().await;
    println!("victim {victim}: {} crashes in {:?}", all.len(), began.elapsed());
    let spared: Vec<Fate> = all.iter().filter(|(_, died)| !died).map(|(fate, _)| *fate).collect();
    assert!(spared.is_empty(), "it did not die at {spared:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hub_that_dies_at_any_durable_write_of_a_payment_pays_it_once() {
    play_all(0, WRITES_MIN, play).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payer_that_dies_at_any_durable_write_of_its_payment_pays_once() {
    play_all(1, WRITES_MIN, play).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payee_that_dies_at_any_durable_write_of_a_payment_is_paid_once() {
    play_all(2, PAYEES_WRITES_MIN, play).await;
}

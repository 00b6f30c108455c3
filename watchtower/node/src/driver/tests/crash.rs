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
use super::world::{Machine, SIDE, keys, kill_at, own};
use crate::driver::{Command, KillSwitch};
use crate::error::NodeError;

const PAID: u128 = 1_000;
/// Fewer durable writes than a hub or payer, and a payee, makes for one payment would show that the switch does not work.
const WRITES_MIN: u64 = 4;
const PAYEES_WRITES_MIN: u64 = 2;
/// Worlds at the same time: they mostly wait.
const AT_ONCE: usize = 12;

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
    hub.know(&both).await;
    for one in [&mut alice, &mut bob] {
        one.know(&both).await;
        one.introduce(&hub).await;
    }
    World { _folder: folder, hall, all: [hub, alice, bob] }
}

/// Whether both ends of both channels agree on the payment having taken place once.
async fn agree(all: &[Machine; 3]) -> bool {
    let (hub, one, two) =
        (all[0].standings().await, all[1].standings().await, all[2].standings().await);
    let at = |all: &BTreeMap<u64, (u64, u128)>, channel: u64| all.get(&channel).copied();
    let pairs = [(at(&hub, 1), at(&one, 1)), (at(&hub, 2), at(&two, 2))];
    let [(Some(to), Some(from)), (Some(by), Some(of))] = pairs else { return false };
    (to.0, by.0) == (from.0, of.0)
        && (from.1, of.1) == (SIDE - PAID, SIDE + PAID)
        && (to.1, by.1) == (SIDE + PAID, SIDE - PAID)
}

/// A victim that has died comes back, and with it whoever died too. Whether it had.
pub(super) async fn revive(all: &mut [Machine], fate: Fate) -> bool {
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

/// Plays it; whether the victim came to that write.
async fn play(fate: Fate, switch: KillSwitch) -> bool {
    let mut world = world().await;
    let all = &mut world.all;
    for (at, machine) in all.iter_mut().enumerate() {
        machine.start((at == fate.victim).then(|| switch.clone())).await;
    }
    let (mut crashes, mut is_over) = (0, false);
    for _ in 0..1_500 {
        crashes += u32::from(revive(all, fate).await);
        // The same order, again and again: it is carried out once.
        if let Some(Err(error)) = all[1].ask(pay()).await {
            assert!([404, 409, 503].contains(&error.status), "{error}");
        }
        is_over = received(&all[1]).await && received(&all[2]).await && agree(all).await;
        if is_over {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(is_over, "{fate:?}: not received, or the ends do not agree");
    for machine in all.iter_mut() {
        // One that reaches its write only now has nothing more to show.
        let error = machine.kill().await;
        assert!(error.is_none() || crashes == 0, "{fate:?}: {error:?}");
    }
    assert!(crashes <= 1, "{fate:?}: it dies once");
    assert!(world.hall.states() >= 4, "{fate:?}: two updates were signed");
    crashes == 1
}

/// Plays every fate of this victim: killed at each of its durable writes, of which there are at least `writes_min`, before and
/// after it, alone and with everybody. `play` says whether the victim came to its write.
pub(super) async fn play_all<P, F>(victim: usize, writes_min: u64, play: P)
where
    P: Fn(Fate, KillSwitch) -> F,
    F: Future<Output = bool>,
{
    // How many there are when nothing happens to it.
    let (nothing, switch) =
        (Fate { victim, write: 0, after: false, everybody: false }, kill_at(0, false));
    play(nothing, switch.clone()).await;
    let writes = switch.seen();
    assert!(writes >= writes_min, "{writes} durable writes");
    let fates = (1..=writes).flat_map(|write| {
        [(false, false), (true, false), (false, true), (true, true)]
            .map(|(after, everybody)| Fate { victim, write, after, everybody })
    });
    let plays = fates.map(|fate| play(fate, kill_at(fate.write, fate.after)));
    let crashed: Vec<bool> = futures::stream::iter(plays).buffer_unordered(AT_ONCE).collect().await;
    let count = crashed.iter().filter(|crashed| **crashed).count();
    println!("victim {victim}: {writes} durable writes, {count} crashes");
    // Which writes share a turn may differ from run to run, by one or two of them.
    let least = usize::try_from(writes_min * 4).unwrap();
    assert!(count >= least, "{count} crashes of {}", crashed.len());
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

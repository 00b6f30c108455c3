//! A restore from the seed alone, on a real chain and an empty disk, in which the node is killed at one of its durable writes, before
//! or after it, alone or with the other party, and comes back. One tower holds the newest backup and the other an older one; each
//! gives no answer the first time that it is asked, and the other party, which alone has the newest state of all, comes late.
//!
//! After every such crash the node goes on from the newest state that both signed, paused; nothing was signed before, whatever was
//! ordered; and a second restore gives the same.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use alloy_primitives::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use protocol::Role;
use protocol::backup::{DisputeKey, seal};
use protocol::testing::{HEDGE, amount};
use protocol::zksc::{Channel, FinalState};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::crash::{Fate, is_expected, play_all, play_out};
use super::machine::{Machine, kill_at};
use super::town::{ALICE, HUB, Town};
use super::world::{SIDE, id, policy, signed};
use crate::driver::Command;
use crate::kill::KillSwitch;

/// The nonces that the towers hold, and the one that the other party holds.
const HELD: [u64; 2] = [7, 5];
const NEWEST: u64 = 9;
/// Rounds before the other party comes, if nobody was killed before.
const LATE: u32 = 20;
/// Fewer durable writes than one restore has would show that the switch does not work.
const WRITES_MIN: u64 = 4;

/// What a tower of this story does: it serves the participant's slot, from the second question on.
struct Shelf {
    envelope: Bytes,
    was_asked: AtomicBool,
}

async fn serve(
    State(shelf): State<Arc<Shelf>>,
    Path((_, role)): Path<(u64, String)>,
) -> (StatusCode, Json<Value>) {
    let refused = |code: &str| Json(json!({"error": {"code": code, "message": "words"}}));
    if !shelf.was_asked.swap(true, Ordering::SeqCst) {
        return (StatusCode::SERVICE_UNAVAILABLE, refused("busy"));
    }
    match role.as_str() {
        "participant" => (StatusCode::OK, Json(json!({"envelope": shelf.envelope}))),
        _ => (StatusCode::NOT_FOUND, refused("nothing")),
    }
}

/// Starts a tower that holds this state; its address.
async fn tower(
    tasks: &mut JoinSet<()>,
    town: &Town,
    channel: &Channel,
    state: &FinalState,
) -> String {
    let secret = town.alice.signer.channel_key();
    let key = DisputeKey::of(channel, Role::Participant, secret).unwrap();
    let sealed = seal(state, channel, &key, &town.alice.signer, &HEDGE).unwrap();
    let envelope = Bytes::from(sealed.to_bytes());
    let shelf = Arc::new(Shelf { envelope, was_asked: AtomicBool::new(false) });
    let router = Router::new().route("/v1/backups/{channel}/{role}", get(serve)).with_state(shelf);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let place = listener.local_addr().unwrap();
    tasks.spawn(async move { axum::serve(listener, router).await.unwrap() });
    format!("http://{place}")
}

/// Whether a node goes on from the newest state, as far as it says.
async fn is_restored(machine: &Machine) -> bool {
    let all = machine.channels().await;
    let is_it = |one: &Value| one["restoring"] == false && one["nonce"] == NEWEST;
    all.len() == 1 && all.first().is_some_and(is_it)
}

struct Story {
    town: Town,
    _towers: JoinSet<()>,
    victim: usize,
    is_introduced: bool,
    waited: u32,
}

impl Story {
    async fn begin(victim: usize) -> (Self, [Machine; 2]) {
        let (town, mut all) = Town::found().await;
        let channel = town.open().await;
        let state = |nonce| {
            let balance = SIDE + u128::from(nonce);
            signed(&channel, (&town.alice, &town.hub), (nonce, 2), balance)
        };
        let (mut towers, mut urls) = (JoinSet::new(), Vec::new());
        for nonce in HELD {
            urls.push(tower(&mut towers, &town, &channel, &state(nonce)).await);
        }
        let mut patient = policy();
        (patient.backup.target, patient.backup.restore_quorum) = (1, HELD.len());
        all[victim].with_towers(urls, patient);
        let other = if victim == HUB { Role::Participant } else { Role::Counterparty };
        all[1 - victim].put(town.holding(other, &channel, &state(NEWEST))).await;
        if victim == HUB {
            all[ALICE].introduce(&all[HUB]).await;
        }
        (Self { town, _towers: towers, victim, is_introduced: false, waited: 0 }, all)
    }

    /// What people do meanwhile: name the hub, and order what must not be done.
    async fn order(&mut self, all: &[Machine], revived: bool) {
        self.is_introduced &= !revived;
        if self.victim != ALICE {
            return;
        }
        if !self.is_introduced {
            let invitation = all[HUB].invitation().to_string();
            let answer = all[ALICE].ask(Command::Introduce { invitation }).await;
            self.is_introduced = matches!(answer, Some(Ok(_)));
        }
        let take = Command::Withdraw { channel: None, amount: amount(1), key: None };
        match all[ALICE].ask(take).await {
            Some(Ok(done)) => panic!("{done} before the pause is over"),
            Some(Err(error)) => assert!(is_expected(&error), "{error}"),
            None => {}
        }
    }
}

/// Plays it; whether the victim died.
async fn play(fate: Fate, switch: KillSwitch) -> bool {
    let (mut story, mut all) = Story::begin(fate.victim).await;
    let other = 1 - fate.victim;
    all[fate.victim].start(Some(switch.clone())).await;
    let died = restore(&mut story, &mut all, (fate, &switch)).await;
    if !switch.is_armed() {
        // Once more, with everybody there from the beginning.
        all[fate.victim].lose_disk();
        all[other].start(None).await;
        all[fate.victim].start(None).await;
        story.is_introduced = false;
        restore(&mut story, &mut all, (fate, &kill_at(0, false))).await;
    }
    died
}

async fn restore(
    story: &mut Story,
    all: &mut [Machine],
    (fate, switch): (Fate, &KillSwitch),
) -> bool {
    let other = 1 - fate.victim;
    let died = play_out(all, (fate, switch), async |all, round| {
        story.waited += 1;
        let comes = !all[other].is_started() && (round.revived || story.waited > LATE);
        if comes {
            all[other].start(None).await;
        }
        story.town.ground.go_on(round.wants_block() || comes).await;
        story.order(all, round.revived).await;
        let shown = all[fate.victim].channels().await;
        let is_paused = shown.first().is_some_and(|one| one["held"] == true);
        is_paused && is_restored(&all[HUB]).await && is_restored(&all[ALICE]).await
    });
    let died = died.await;
    let said = story.town.hall.nonces(id(1));
    assert!(said.iter().all(|nonce| *nonce == NEWEST), "{fate:?}: {said:?}");
    died
}

#[tokio::test(flavor = "multi_thread")]
async fn a_participant_that_dies_at_any_durable_write_of_a_restore_finds_the_newest_state() {
    play_all(ALICE, WRITES_MIN, play).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hub_that_dies_at_any_durable_write_of_a_restore_finds_the_newest_state() {
    play_all(HUB, WRITES_MIN, play).await;
}

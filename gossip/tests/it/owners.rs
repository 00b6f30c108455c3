//! What the owner of a slot can do with its own key: it harms its own slot at most, and whoever passes it on is not blamed.

use std::time::Duration;

use gossip::Submitted;
use protocol::backup::Envelope;
use protocol::network::wire::Refusal;
use protocol::{Nonce, Role};

use crate::intake::JUMP;
use crate::scene::{Scene, backups, score};
use crate::world::{Setup, Tower, envelope, envelope_of, memory, slot, until};

/// Two envelopes of one nonce; the first one wins.
fn twins(nonce: u64) -> [Envelope; 2] {
    let mut both = [10, 11].map(|balance| envelope_of(1, Role::Participant, nonce, balance));
    both.sort_by_key(|envelope| *envelope.id());
    both
}

#[tokio::test]
async fn two_ids_at_one_nonce_have_one_winner_everywhere_and_are_kept_as_evidence() {
    let scene = Scene::in_process().await;
    let (a, b) = (&scene.a, &scene.b);
    for nonce in 5..9 {
        let [winner, loser] = twins(nonce);
        // To the two towers in either order, at once.
        let (to_a, to_b) = if nonce % 2 == 0 { (&winner, &loser) } else { (&loser, &winner) };
        let (first, second) = tokio::join!(
            b.handle.submit(a.handle.me(), to_a, 0),
            a.handle.submit(b.handle.me(), to_b, 0)
        );
        println!("equivocation at {nonce}: {:?}, {:?}", first.is_ok(), second.is_ok());
        a.holds(&winner).await;
        b.holds(&winner).await;
        until("both have the evidence", || async {
            a.desk.has_evidence(slot(1)) && b.desk.has_evidence(slot(1))
        })
        .await;
    }
    // The loser comes again: refused with the reason, and nobody's fault.
    let [_, loser] = twins(8);
    let again = b.handle.submit(a.handle.me(), &loser, 0).await.unwrap();
    let nonce = Nonce::try_from(8).unwrap();
    assert_eq!(again, Submitted::Refused(Refusal::Conflict { nonce }));
    assert!(a.desk.count("conflict_lost") > 0, "conflicts are counted");
    assert!(a.desk.index_is_in_step() && b.desk.index_is_in_step());
    // A tower that comes later gets the winner.
    let late = Tower::start(Setup::new(2, &memory()), std::slice::from_ref(&a.place)).await;
    late.meets(1).await;
    let session = late.desk.reconcile(&late.handle, a.handle.me(), 1).await;
    println!("a third tower reconciles: {session:?}");
    late.holds(&twins(8)[0]).await;
    scene.holds("equivocation", 20).await;
}

#[tokio::test]
async fn a_peer_that_passes_on_both_of_an_owners_two_envelopes_is_not_blamed() {
    let scene = Scene::in_process().await;
    let mut hostile = scene.culprit().await;
    for sent in twins(5) {
        hostile.publish(&backups(1), sent.to_bytes());
        hostile.go_on(Duration::from_millis(200)).await;
    }
    assert!(score(&scene.a, &hostile).await.unwrap() >= 0.0);
    assert!(scene.a.desk.has_evidence(slot(1)));
    scene.a.holds(&twins(5)[0]).await;
}

#[tokio::test]
async fn a_nonce_that_rises_too_fast_is_refused_and_harms_neither_its_slot_nor_its_sender() {
    let scene = Scene::in_process().await;
    let a = &scene.a;
    scene.holds("before nonce inflation", 5).await;
    let mut hostile = scene.culprit().await;
    let absurd = envelope(1, 5 + JUMP.per_hour + 1);
    hostile.publish(&backups(1), absurd.to_bytes());
    hostile.publish(&backups(1), envelope(1, (1 << 56) - 1).to_bytes());
    hostile.go_on(Duration::from_millis(300)).await;
    let refused = scene.b.handle.submit(a.handle.me(), &absurd, 0).await.unwrap();
    let Submitted::Refused(Refusal::TooFast { allowed, .. }) = refused else {
        panic!("{refused:?}")
    };
    assert_eq!(allowed.get(), 5 + JUMP.per_hour);
    assert!(a.desk.count("too_fast") >= 2, "{}", a.desk.count("too_fast"));
    assert!(score(a, &hostile).await.unwrap() >= 0.0);
    scene.holds("nonce inflation", 6).await;
}

#[tokio::test]
async fn an_owner_that_changes_its_slot_too_often_is_slowed_and_its_counterparty_is_not() {
    let scene = Scene::in_process().await;
    let (a, b) = (&scene.a, &scene.b);
    let mut busy = 0;
    for nonce in 1..=30 {
        let outcome = b.handle.submit(a.handle.me(), &envelope(2, nonce), 0).await.unwrap();
        busy += u32::from(matches!(outcome, Submitted::Refused(Refusal::Busy { .. })));
    }
    println!("an owner's flood of 30: {busy} refused");
    assert!(busy >= 15, "{busy}");
    let other = envelope_of(2, Role::Counterparty, 1, 10);
    let outcome = b.handle.submit(a.handle.me(), &other, 0).await.unwrap();
    assert!(matches!(outcome, Submitted::Receipt(_)), "{outcome:?}");
    scene.holds("an owner's flood", 5).await;
}

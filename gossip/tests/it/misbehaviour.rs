//! Peers that misbehave: honest delivery goes on, memory stays bounded, culprits end below the graylist line.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use protocol::network::wire::{BackupRequest, RawEnvelope};

use crate::hostile::Hostile;
use crate::mesh::alert;
use crate::scene::{GRAYLIST_LINE, MEMORY_MAX, Scene, backups, resident, score};
use crate::world::{Setup, domain, envelope, memory, slot, until};

#[tokio::test]
async fn replays_of_old_envelopes_cost_nobody_anything_and_change_nothing() {
    let scene = Scene::in_process().await;
    let a = &scene.a;
    scene.holds("replays and old nonces", 9).await;
    let mut hostile = scene.culprit().await;
    for nonce in 1..9 {
        hostile.publish(&backups(1), envelope(1, nonce).to_bytes());
        hostile.go_on(Duration::from_millis(50)).await;
    }
    assert!(score(a, &hostile).await.unwrap() >= 0.0);
    assert_eq!(a.desk.held(slot(1)).unwrap().id, *envelope(1, 9).id());
}

#[tokio::test]
async fn oversize_and_garbage_requests_end_in_a_ban() {
    let scene = Scene::in_process().await;
    let a = &scene.a;
    let mut hostile = Hostile::in_process();
    assert!(hostile.connect(&a.place).await);
    let mut lowest = 0.0_f64;
    let mut closed = false;
    for round in 0..60_u8 {
        if closed {
            break;
        }
        let oversize = [u32::MAX.to_be_bytes().as_slice(), &[round; 100]].concat();
        let garbage = [100_u32.to_be_bytes().as_slice(), &[round; 100]].concat();
        hostile.write_backup(if round % 2 == 0 { oversize } else { garbage });
        closed = hostile.go_on(Duration::from_millis(100)).await;
        lowest = score(a, &hostile).await.unwrap_or(lowest).min(lowest);
    }
    assert!(closed, "the culprit is still connected, with {lowest}");
    assert!(lowest < GRAYLIST_LINE, "{lowest}");
    assert_eq!(a.handle.counters().bans.get(), 1);
    let again = hostile.connect(&a.place).await && !hostile.go_on(Duration::from_millis(500)).await;
    assert!(!again, "a banned peer came back");
    scene.holds("oversize and garbage requests", 5).await;
}

#[tokio::test]
async fn requests_that_are_too_long_end_below_the_graylist_line_by_themselves() {
    let scene = Scene::in_process().await;
    let a = &scene.a;
    let mut hostile = Hostile::in_process();
    assert!(hostile.connect(&a.place).await);
    for round in 0..8_u8 {
        hostile.write_backup([u32::MAX.to_be_bytes().as_slice(), &[round; 100]].concat());
        hostile.go_on(Duration::from_millis(100)).await;
    }
    assert!(score(a, &hostile).await.unwrap() < GRAYLIST_LINE);
    scene.holds("requests that are too long", 5).await;
}

#[tokio::test]
async fn a_reader_that_reads_nothing_holds_up_nobody() {
    let scene = Scene::in_process().await;
    let a = &scene.a;
    let mut hostile = Hostile::in_process();
    assert!(hostile.connect(&a.place).await);
    let fetch = BackupRequest::Fetch { domain: domain(), slot: slot(1) }.to_bytes();
    let length = u32::try_from(fetch.len()).unwrap();
    for _ in 0..500 {
        hostile.write_backup([length.to_be_bytes().as_slice(), &fetch].concat());
    }
    hostile.go_on(Duration::from_secs(1)).await;
    scene.holds("slow reader", 5).await;
    // A frame that is promised and never comes holds a stream, and no more than that.
    for _ in 0..100 {
        hostile.write_backup(500_u32.to_be_bytes().to_vec());
    }
    hostile.go_on(Duration::from_secs(1)).await;
    scene.holds("slow reader", 6).await;
}

#[tokio::test]
async fn a_flood_of_submissions_delays_neither_another_peer_nor_an_alert() {
    let mut setup = Setup::new(0, &memory());
    // Each takes 20 ms, eight at a time: a flood of thousands would take many seconds.
    setup.slow = Duration::from_millis(20);
    setup.change = |config| {
        config.limits.working_max = 8;
        config.limits.working_per_peer = 4;
    };
    let scene = Scene::of(setup, Setup::new(1, &memory())).await;
    let (a, b) = (&scene.a, &scene.b);
    let before = resident();
    let mut hostile = scene.culprit().await;
    let submit = |nonce| {
        let envelope = RawEnvelope::from(&envelope(2, nonce));
        let bytes = BackupRequest::Submit { seen_at: 0, envelope }.to_bytes();
        let length = u32::try_from(bytes.len()).unwrap();
        [length.to_be_bytes().as_slice(), &bytes].concat()
    };
    let frame = submit(1);
    for nonce in 0..3_000_u32 {
        hostile.write_backup(frame.clone());
        let mut bytes = envelope(1, 1).to_bytes();
        bytes[500..504].copy_from_slice(&nonce.to_be_bytes());
        hostile.publish(&backups(1), bytes);
    }
    let flood = async { hostile.go_on(Duration::from_secs(5)).await };
    let honest = async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        let start = Instant::now();
        b.handle.submit(a.handle.me(), &envelope(1, 7), 0).await.unwrap();
        let submitted = start.elapsed();
        let start = Instant::now();
        b.handle.alert(&alert(9, 1)).unwrap();
        until("the alert", || async { a.desk.alerts.load(Ordering::Relaxed) == 1 }).await;
        (submitted, start.elapsed())
    };
    let (_, (submitted, alerted)) = tokio::join!(flood, honest);
    let grown = resident().saturating_sub(before);
    println!(
        "under flood: submission {submitted:?}, alert {alerted:?}, memory +{} KiB",
        grown / 1_024
    );
    assert!(submitted < Duration::from_secs(2), "{submitted:?}");
    assert!(alerted < Duration::from_secs(2), "{alerted:?}");
    assert!(grown < MEMORY_MAX, "{grown}");
    let counters = a.handle.counters();
    assert!(counters.gossip_turned_away.get() + counters.requests_turned_away.get() > 0);
}

/// A message of the router's protobuf: field `number` with length-delimited `content`.
fn field(number: u8, content: &[u8]) -> Vec<u8> {
    let mut bytes = vec![(number << 3) | 2];
    varint(content.len(), &mut bytes);
    bytes.extend_from_slice(content);
    bytes
}

fn varint(mut value: usize, to: &mut Vec<u8>) {
    while value >= 0x80 {
        to.push(u8::try_from(value & 0x7f).unwrap() | 0x80);
        value >>= 7;
    }
    to.push(u8::try_from(value).unwrap());
}

fn rpc(content: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    varint(content.len(), &mut bytes);
    bytes.extend_from_slice(content);
    bytes
}

/// Into the mesh and out of it: the second time it is within the back-off that the first one began.
fn turn(topic: &str) -> Vec<u8> {
    let graft = rpc(&field(3, &field(3, &field(1, topic.as_bytes()))));
    let prune = rpc(&field(3, &field(4, &field(1, topic.as_bytes()))));
    [graft, prune].concat()
}

/// The router reads no stream that has buffered more than its bound, so the flood that is judged comes in a small piece, and
/// the one that is to fill memory after it.
#[tokio::test]
async fn a_flood_of_control_messages_changes_nothing_for_others() {
    let scene = Scene::in_process().await;
    let a = &scene.a;
    let mut hostile = scene.culprit().await;
    let topic = backups(1);
    let mut flood = Vec::new();
    for round in 0..2_000_u32 {
        // GRAFT and PRUNE in turns, IHAVE of ids that do not exist, subscriptions of topics that do not exist.
        let id = [&round.to_be_bytes()[..], &[7; 16]].concat();
        let ihave = field(3, &field(1, &[field(1, topic.as_bytes()), field(2, &id)].concat()));
        let name = format!("/nowhere/{round}");
        let subscribe = field(1, &[vec![8, 1], field(2, name.as_bytes())].concat());
        flood.extend_from_slice(&turn(&topic));
        for part in [ihave, subscribe] {
            flood.extend_from_slice(&rpc(&part));
        }
    }
    let judged: Vec<u8> = (0..30).flat_map(|_| turn(&topic)).collect();
    assert!(judged.len() < 8 * 1_024, "{}", judged.len());
    hostile.write_router(judged);
    hostile.go_on(Duration::from_secs(1)).await;
    let culprit = score(a, &hostile).await;
    for _ in 0..20 {
        hostile.write_router(flood.clone());
    }
    hostile.go_on(Duration::from_secs(3)).await;
    scene.holds("flood of control messages", 5).await;
    println!("flood of control messages: score {culprit:?}");
    assert!(culprit.is_none_or(|score| score < GRAYLIST_LINE), "{culprit:?}");
}

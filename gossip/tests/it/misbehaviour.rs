//! Peers that misbehave: honest delivery goes on, memory stays bounded, culprits end below the graylist line.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use protocol::network::wire::{BackupRequest, RawEnvelope, Topic};

use crate::hostile::Hostile;
use crate::mesh::alert;
use crate::world::{Setup, Tower, domain, envelope, memory, slot, slot_of, until};

/// As in the crate: nothing below it is read.
const GRAYLIST_LINE: f64 = -2_500.0;

/// What a flood may add to this process's memory: queues, buffers and caches of the victim, and the attacker's own.
const MEMORY_MAX: u64 = 192 * 1_024 * 1_024;

async fn two() -> (Tower, Tower) {
    let a = Tower::start(Setup::new(0, &memory()), &[]).await;
    let b = Tower::start(Setup::new(1, &memory()), std::slice::from_ref(&a.place)).await;
    a.meshes(1).await;
    (a, b)
}

async fn score(tower: &Tower, culprit: &Hostile) -> Option<f64> {
    let peers = tower.handle.peers().await.unwrap();
    peers.iter().find(|info| info.peer == culprit.me()).map(|info| info.score)
}

/// An envelope handed to one tower still reaches the other.
async fn honest_delivery_continues(a: &Tower, b: &Tower, nonce: u64) {
    let sent = envelope(1, nonce);
    let start = Instant::now();
    b.handle.submit(a.handle.me(), &sent, 0).await.unwrap();
    a.holds(&sent).await;
    b.holds(&sent).await;
    println!("honest delivery took {:?}", start.elapsed());
}

fn resident() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4_096
}

fn backups(channel: u64) -> String {
    Topic::Backups(domain(), slot(channel).shard()).to_string()
}

#[tokio::test]
async fn garbage_on_a_topic_ends_below_the_graylist_line_and_travels_no_further() {
    let (a, b) = two().await;
    let mut hostile = Hostile::in_process();
    assert!(hostile.connect(&a.place).await);
    hostile.learn_topics().await;
    for garbage in 0..8_u8 {
        hostile.publish(&backups(1), vec![garbage; 565]);
        hostile.go_on(Duration::from_millis(100)).await;
    }
    let culprit = score(&a, &hostile).await.unwrap();
    assert!(culprit < GRAYLIST_LINE, "{culprit}");
    assert_eq!(b.handle.counters().gossip_rejected.get(), 0, "garbage was forwarded");
    // What a graylisted peer sends is not even read.
    hostile.publish(&backups(1), envelope(1, 50).to_bytes());
    hostile.go_on(Duration::from_millis(500)).await;
    assert_eq!(a.desk.held(slot(1)), None);
    honest_delivery_continues(&a, &b, 5).await;
}

#[tokio::test]
async fn an_envelope_of_another_key_or_vault_is_rejected_at_its_sender_s_cost() {
    let (a, b) = two().await;
    let mut hostile = Hostile::in_process();
    assert!(hostile.connect(&a.place).await);
    hostile.learn_topics().await;
    let stranger = protocol::testing::Pair::in_vault(77, 1, crate::world::vipe(), 1);
    let elsewhere = stranger.seal(protocol::Role::Participant, &stranger.final_state(1, 10));
    let mut damaged = envelope(1, 9).to_bytes();
    *damaged.last_mut().unwrap() ^= 1;
    hostile.publish(&backups(1), elsewhere.to_bytes());
    hostile.publish(&backups(1), damaged);
    until("both are rejected", || async {
        a.handle.counters().gossip_rejected.get() == 2 || {
            hostile_runs().await;
            false
        }
    })
    .await;
    assert!(score(&a, &hostile).await.unwrap() < -500.0);
    honest_delivery_continues(&a, &b, 5).await;
}

async fn hostile_runs() {
    tokio::task::yield_now().await;
}

#[tokio::test]
async fn replays_of_old_envelopes_cost_nobody_anything_and_change_nothing() {
    let (a, b) = two().await;
    honest_delivery_continues(&a, &b, 9).await;
    let mut hostile = Hostile::in_process();
    assert!(hostile.connect(&a.place).await);
    hostile.learn_topics().await;
    for nonce in 1..9 {
        hostile.publish(&backups(1), envelope(1, nonce).to_bytes());
        hostile.go_on(Duration::from_millis(50)).await;
    }
    assert!(score(&a, &hostile).await.unwrap() >= 0.0);
    assert_eq!(slot_of(&a.desk.held(slot(1)).unwrap()), slot(1));
    assert_eq!(a.desk.held(slot(1)).unwrap().id(), envelope(1, 9).id());
}

#[tokio::test]
async fn oversize_and_garbage_requests_end_in_a_ban() {
    let (a, b) = two().await;
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
        lowest = score(&a, &hostile).await.unwrap_or(lowest).min(lowest);
    }
    assert!(closed, "the culprit is still connected, with {lowest}");
    assert!(lowest < GRAYLIST_LINE, "{lowest}");
    assert_eq!(a.handle.counters().bans.get(), 1);
    let again = hostile.connect(&a.place).await && !hostile.go_on(Duration::from_millis(500)).await;
    assert!(!again, "a banned peer came back");
    honest_delivery_continues(&a, &b, 5).await;
}

#[tokio::test]
async fn requests_that_are_too_long_end_below_the_graylist_line_by_themselves() {
    let (a, b) = two().await;
    let mut hostile = Hostile::in_process();
    assert!(hostile.connect(&a.place).await);
    for round in 0..8_u8 {
        hostile.write_backup([u32::MAX.to_be_bytes().as_slice(), &[round; 100]].concat());
        hostile.go_on(Duration::from_millis(100)).await;
    }
    assert!(score(&a, &hostile).await.unwrap() < GRAYLIST_LINE);
    honest_delivery_continues(&a, &b, 5).await;
}

#[tokio::test]
async fn a_reader_that_reads_nothing_holds_up_nobody() {
    let (a, b) = two().await;
    let mut hostile = Hostile::in_process();
    assert!(hostile.connect(&a.place).await);
    let fetch = BackupRequest::Fetch { domain: domain(), slot: slot(1) }.to_bytes();
    let length = u32::try_from(fetch.len()).unwrap();
    for _ in 0..500 {
        hostile.write_backup([length.to_be_bytes().as_slice(), &fetch].concat());
    }
    hostile.go_on(Duration::from_secs(1)).await;
    honest_delivery_continues(&a, &b, 5).await;
    // A frame that is promised and never comes holds a stream, and no more than that.
    for _ in 0..100 {
        hostile.write_backup(500_u32.to_be_bytes().to_vec());
    }
    hostile.go_on(Duration::from_secs(1)).await;
    honest_delivery_continues(&a, &b, 6).await;
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
    let a = Tower::start(setup, &[]).await;
    let b = Tower::start(Setup::new(1, &memory()), std::slice::from_ref(&a.place)).await;
    a.meshes(1).await;
    let before = resident();
    let mut hostile = Hostile::in_process();
    assert!(hostile.connect(&a.place).await);
    hostile.learn_topics().await;
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
    let (a, b) = two().await;
    let before = resident();
    let mut hostile = Hostile::in_process();
    assert!(hostile.connect(&a.place).await);
    hostile.learn_topics().await;
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
    let culprit = score(&a, &hostile).await;
    for _ in 0..20 {
        hostile.write_router(flood.clone());
    }
    hostile.go_on(Duration::from_secs(3)).await;
    honest_delivery_continues(&a, &b, 5).await;
    let grown = resident().saturating_sub(before);
    println!("control flood: score {culprit:?}, memory +{} KiB", grown / 1_024);
    assert!(culprit.is_none_or(|score| score < GRAYLIST_LINE), "{culprit:?}");
    assert!(grown < MEMORY_MAX, "{grown}");
}

#[tokio::test]
async fn a_hundred_sybils_on_one_address_get_eight_places() {
    let tcp = "/ip4/127.0.0.1/tcp/0";
    let a = Tower::start(Setup::new(0, tcp), &[]).await;
    let b = Tower::start(Setup::new(1, tcp), std::slice::from_ref(&a.place)).await;
    a.meshes(1).await;
    let mut sybils = Vec::new();
    for _ in 0..100 {
        let mut sybil = Hostile::over_tcp();
        if sybil.connect(&a.place).await && !sybil.go_on(Duration::from_millis(20)).await {
            sybils.push(sybil);
        }
    }
    let peers = a.handle.status().await.unwrap().peers;
    println!("{peers} peers of 101 that tried");
    assert!(peers <= 8, "{peers}");
    assert!(a.handle.counters().connections_refused.get() >= 90);
    honest_delivery_continues(&a, &b, 5).await;
}

#[tokio::test]
async fn half_open_connections_hold_their_places_for_ten_seconds_and_no_longer() {
    let tcp = "/ip4/127.0.0.1/tcp/0";
    let a = Tower::start(Setup::new(0, tcp), &[]).await;
    let b = Tower::start(Setup::new(1, tcp), std::slice::from_ref(&a.place)).await;
    a.meshes(1).await;
    let text = a.place.to_string();
    let port: u16 = text.split('/').nth(4).unwrap().parse().unwrap();
    let mut silent = Vec::new();
    for _ in 0..200 {
        silent.push(tokio::net::TcpStream::connect(("127.0.0.1", port)).await.unwrap());
    }
    honest_delivery_continues(&a, &b, 5).await;
    until("places are free again", || async {
        let mut honest = Hostile::over_tcp();
        honest.connect(&a.place).await && !honest.go_on(Duration::from_millis(100)).await
    })
    .await;
    drop(silent);
}

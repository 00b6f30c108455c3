//! What reconciling a million envelopes costs when a thousand differ, and how it grows with either number.
//!
//! A table, not a statistic: bytes and requests are the same in every run, times are of one run. Messages are encoded and
//! decoded as on a wire; no network, no disk, no signatures.
#![allow(
    clippy::expect_used,
    clippy::disallowed_methods,
    clippy::panic,
    clippy::print_stdout,
    missing_docs,
    reason = "a benchmark is no library"
)]

use std::time::Instant;

use protocol::{
    ChannelId, Nonce, Role,
    backup::Envelope,
    network::{
        ShardSet, Slot,
        reconcile::{
            Answer, Index, Session, SessionLimits, SessionReport, SyncEnd, SyncNext, envelopes,
            respond,
        },
        wire::{RawEnvelope, Row, SyncRequest, SyncSalt, Tag},
    },
    testing::{Pair, derived},
};

const SALT: SyncSalt = SyncSalt([0x5A; 16]);

fn row(slot: Slot, nonce: u64) -> Row {
    let id = derived(slot.key().bits() ^ nonce, "envelope");
    Row { slot, nonce: Nonce::try_from(nonce).expect("below 2^56"), tag: Tag::of(&id) }
}

fn slots(channels: u64) -> impl Iterator<Item = Slot> {
    (1..=channels).flat_map(|id| {
        let channel_id = ChannelId::try_from(id).expect("in range");
        Role::BOTH.map(|role| Slot { channel_id, role })
    })
}

fn template() -> [u8; Envelope::LEN] {
    let pair = Pair::new(1);
    *RawEnvelope::from(&pair.seal(Role::Participant, &pair.final_state(1, 5))).as_bytes()
}

/// An envelope's bytes with this row's slot and nonce.
fn envelope(template: &[u8; Envelope::LEN], row: &Row) -> RawEnvelope {
    let mut bytes = *template;
    let slot = row.slot;
    let fields = slot.channel_id.get().to_be_bytes().into_iter();
    let fields = fields.chain([slot.role.to_byte()]).chain(row.nonce.get().to_be_bytes());
    bytes.iter_mut().skip(22).zip(fields).for_each(|(to, from)| *to = from);
    RawEnvelope::from_bytes(&bytes).expect("an envelope's length")
}

/// One session from start to end, every message through its encoding.
fn run(asking: &mut Index, answering: &mut Index) -> SessionReport {
    let pair = Pair::new(1);
    let domain = pair.channel.domain();
    let template = template();
    let limits = SessionLimits::default();
    let (mut session, mut request) = Session::start(asking, domain, ShardSet::ALL, SALT, limits);
    loop {
        let read = SyncRequest::from_bytes(&request.to_bytes()).expect("decodes");
        let response = match respond(answering, domain, &read) {
            Answer::Now(response) => response,
            Answer::Read(slots) => {
                let held = slots.iter().filter_map(|slot| answering.get(*slot));
                envelopes(held.map(|row| envelope(&template, &row)))
            }
        };
        let progress = session.answered(asking, &response.to_bytes()).expect("no fault");
        if let SyncRequest::Want { slots, .. } = &read {
            assert_eq!(progress.envelopes.len(), slots.len());
            for held in slots.iter().filter_map(|slot| answering.get(*slot)) {
                asking.put(held);
            }
        }
        match progress.next {
            SyncNext::Send(next) => request = next,
            SyncNext::Done(end) => {
                assert_eq!(end, SyncEnd::Complete);
                return *session.report();
            }
        }
    }
}

fn index(channels: u64) -> Index {
    let mut index = Index::new(ShardSet::ALL);
    for slot in slots(channels) {
        index.put(row(slot, 5));
    }
    index
}

/// Makes `count` slots newer, chosen by a hash.
fn advance(index: &mut Index, channels: u64, count: u64) {
    let mut done = 0;
    for at in 0_u64.. {
        if done == count {
            break;
        }
        let [c0, c1, c2, c3, c4, c5, c6, c7, role, ..] = derived(at, "choice").0;
        let id = 1 + u64::from_be_bytes([c0, c1, c2, c3, c4, c5, c6, c7]) % channels;
        let channel_id = ChannelId::try_from(id).expect("in range");
        let role = Role::try_from(role & 1).expect("0 or 1");
        done += u64::from(index.put(row(Slot { channel_id, role }, 6)));
    }
}

fn main() {
    println!("  envelopes  differ   KiB out    KiB in   requests  x difference  ask s  memory MiB");
    for (items, differ) in [
        (1_000_000_u64, 0_u64),
        (1_000_000, 1),
        (1_000_000, 100),
        (1_000_000, 1_000),
        (1_000_000, 10_000),
        (10_000, 1_000),
        (100_000, 1_000),
        (2_000_000, 1_000),
        (100_000, 100_000),
    ] {
        let channels = items / 2;
        let mut asking = if differ == items { Index::new(ShardSet::ALL) } else { index(channels) };
        let mut answering = index(channels);
        if differ < items {
            advance(&mut answering, channels, differ);
        }
        let start = Instant::now();
        let report = run(&mut asking, &mut answering);
        let seconds = start.elapsed().as_secs_f64();
        assert_eq!(report.received, differ);
        let size = differ * u64::try_from(Envelope::LEN).expect("fits");
        let bytes = report.bytes_in + report.bytes_out;
        assert!(bytes <= 4 * size + 65_536, "{bytes} bytes for a difference of {size}");
        println!(
            "{items:>11} {differ:>7} {:>9.1} {:>9.1} {:>10} {:>13.2} {seconds:>6.2} {:>11.1}",
            report.bytes_out as f64 / 1024.0,
            report.bytes_in as f64 / 1024.0,
            report.requests,
            bytes as f64 / size.max(1) as f64,
            answering.memory() as f64 / 1_048_576.0,
        );
    }
    updates();
}

/// Recording one envelope, and making the digests that it changed anew.
fn updates() {
    let mut index = index(1_000_000);
    println!("{} slots: {:.1} bytes each", index.len(), index.memory() as f64 / index.len() as f64);
    let start = Instant::now();
    for shard in protocol::network::Shard::all() {
        let root = protocol::network::wire::Prefix::root(shard);
        assert!(index.fingerprint(root, SALT).is_some());
    }
    println!("all digests of 2,000,000 slots: {:.2} s", start.elapsed().as_secs_f64());
    let start = Instant::now();
    let mut count = 0_u32;
    for slot in slots(1_000_000).step_by(20) {
        index.put(row(slot, 6));
        let root = protocol::network::wire::Prefix::root(slot.shard());
        assert!(index.fingerprint(root, SALT).is_some());
        count += 1;
    }
    let each = start.elapsed().as_secs_f64() * 1e6 / f64::from(count);
    println!("one update and the fingerprint of its shard: {each:.1} us");
}

//! What each step of an upsert costs by itself, on one core.

use std::hint::black_box;
use std::path::Path;
use std::time::{Duration, Instant};

use protocol::Role;
use protocol::backup::{Receipt, UnverifiedEnvelope};
use protocol::testing::Pair;
use store::{Backup, Slot, Store};

use crate::fill::{NO_LIMIT, row};
use crate::{SEED, facts, key, pair, processor_time, scattered};

const RUNS: u64 = 2_000;

fn timed(what: &str, mut step: impl FnMut(u64)) {
    let (begun, busy) = (Instant::now(), processor_time());
    (0..RUNS).for_each(&mut step);
    let each = |time: Duration| time.as_secs_f64() * 1e6 / RUNS as f64;
    let (took, busy) = (each(begun.elapsed()), each(processor_time() - busy));
    println!("  {what:<44}{took:>10.1} us{busy:>10.1} us of a processor");
}

pub(crate) fn run(path: &Path) {
    let store = Store::open(path, facts()).unwrap();
    let tables = store.tables().unwrap();
    let channels = tables.iter().find(|table| table.name.starts_with("channels")).unwrap().rows;
    let base = Pair::new(SEED);
    let slot = |n| {
        let channel_id = (1 + scattered(n * 37, channels)).try_into().unwrap();
        Slot { channel_id, role: Role::Participant }
    };
    let sealed = base.seal(Role::Participant, &base.final_state(9, 10));
    let bytes = sealed.to_bytes();
    println!("one step, one core:");
    timed("channel's row from the store", |n| {
        black_box(store.channel(slot(n).channel_id).unwrap().unwrap());
    });
    timed("slot's head from the store", |n| {
        black_box(store.held(slot(n)).unwrap().unwrap());
    });
    timed("slot's row from the store", |n| {
        black_box(store.backup(slot(n)).unwrap().unwrap());
    });
    timed("envelope decoded, signature checked", |_| {
        black_box(UnverifiedEnvelope::from_bytes(&bytes).unwrap().admit(&base.channel).unwrap());
    });
    let (account, signer) = (facts().account, key());
    timed("receipt signed", |n| {
        let receipt = Receipt::new(&sealed, 31_337, crate::vipe(), account, n);
        black_box(receipt.sign(&signer).unwrap());
    });
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let identity = row(&pair(&base, 1)).identity();
    let offer = |n: u64, at: u64| {
        let backup = Backup {
            nonce: protocol::testing::nonce(at),
            id: protocol::testing::derived(n, "parts"),
            identity,
            stored_at_ms: 1_700_000_001_000,
            envelope: bytes.clone(),
        };
        store.offer_backup(slot(n), backup, NO_LIMIT)
    };
    let begun = Instant::now();
    for n in 0..100 {
        runtime.block_on(offer(n, 6)).unwrap();
    }
    println!(
        "  {:<44}{:>10.1} us",
        "a commit of one upsert, one after another",
        begun.elapsed().as_secs_f64() * 1e4
    );
    let (begun, busy) = (Instant::now(), processor_time());
    let offers = (0..20_000).map(|n| offer(n, 7));
    runtime.block_on(futures::future::join_all(offers));
    let each = |time: Duration| time.as_secs_f64() * 1e6 / 20_000.0;
    let (took, busy) = (each(begun.elapsed()), each(processor_time() - busy));
    println!(
        "  {:<44}{took:>10.1} us{busy:>10.1} us of a processor",
        "an upsert in grouped commits"
    );
}

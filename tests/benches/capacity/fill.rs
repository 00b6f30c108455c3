//! Fills a store, and says what it takes.

use std::path::Path;
use std::time::Instant;

use protocol::Role;
use protocol::network::wire::RawEnvelope;
use protocol::testing::{Pair, derived, nonce};
use store::{Backup, Change, ChannelRow, ChannelStatus, JumpLimit, Slot, Store};

use crate::{SEED, facts, pair, scattered};

/// Channels whose changes share a commit.
const BATCH: u64 = 2_000;

/// The nonce of every envelope.
pub(crate) const FIRST: u64 = 5;

pub(crate) const NO_LIMIT: JumpLimit = JumpLimit { per_hour: u64::MAX };

/// The template's bytes in another slot. Its signature is wrong there: the store does not look.
fn relabelled(template: &RawEnvelope, slot: Slot) -> Vec<u8> {
    let mut bytes = template.as_bytes().to_vec();
    bytes[22..30].copy_from_slice(&slot.channel_id.get().to_be_bytes());
    bytes[30] = slot.role.to_byte();
    bytes
}

pub(crate) fn row(pair: &Pair) -> ChannelRow {
    let status = ChannelStatus::Live;
    ChannelRow { channel: pair.channel, status, accept_by: 1 << 40, opened_block: 1_000_000 }
}

pub(crate) fn run(path: &Path, channels: u64) {
    let store = Store::open(path, facts()).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let base = Pair::new(SEED);
    let template = RawEnvelope::from(&base.seal(Role::Participant, &base.final_state(FIRST, 10)));
    let begun = Instant::now();
    // Channels are opened in the order of their ids; backups come in any order.
    for from in (0..channels).step_by(usize::try_from(BATCH).unwrap()) {
        let rows = (from..(from + BATCH).min(channels)).map(|at| row(&pair(&base, at + 1)));
        let changes = rows.map(|row| Change::Channel(Box::new(row))).collect();
        runtime.block_on(store.commit(changes)).unwrap();
    }
    let identity = row(&base).identity();
    for from in (0..channels).step_by(usize::try_from(BATCH).unwrap()) {
        let slots = (from..(from + BATCH).min(channels)).flat_map(|at| {
            let channel_id = (1 + scattered(at, channels)).try_into().unwrap();
            Role::BOTH.map(|role| Slot { channel_id, role })
        });
        let offers = slots.map(|slot| {
            let id = derived(slot.channel_id.get() * 2 + u64::from(slot.role.to_byte()), "id");
            let envelope = relabelled(&template, slot);
            let backup = Backup {
                nonce: nonce(FIRST),
                id,
                identity,
                stored_at_ms: 1_700_000_000_000,
                envelope,
            };
            let store = &store;
            async move {
                store.offer_backup(slot, backup, NO_LIMIT).await.unwrap();
            }
        });
        runtime.block_on(futures::future::join_all(offers));
    }
    println!("filled in {:.0} s", begun.elapsed().as_secs_f64());
    let slots = (channels * 2) as f64;
    println!(
        "{:<14}{:>12}{:>14}{:>16}{:>16}",
        "table", "rows", "bytes a row", "bytes a slot", "redb's a slot"
    );
    for table in store.tables().unwrap().into_iter().filter(|table| table.rows > 0) {
        let overhead = table.metadata_bytes + table.fragmented_bytes;
        println!(
            "{:<14}{:>12}{:>14.1}{:>16.1}{:>16.1}",
            table.name,
            table.rows,
            table.stored_bytes as f64 / table.rows as f64,
            table.stored_bytes as f64 / slots,
            overhead as f64 / slots,
        );
    }
    drop(store);
    let size = std::fs::metadata(path).unwrap().len() as f64;
    println!("file: {:.0} MiB, {:.0} bytes a slot", size / 1_048_576.0, size / slots);
}

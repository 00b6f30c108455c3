//! One update of a channel with nothing beside it: every record durable before what follows from it, on this disk.
//!
//! Three durable turns one after another: the partial and the final state at the counterparty, the final state at the participant. Beside it what one such turn costs, most of which is the disk's sync. No network.

use std::path::Path;
use std::time::Instant;

use alloy_primitives::{B256, Bytes};
use eyre::WrapErr as _;
use protocol::Role;
use protocol::zksc::handshake::{Pending, Record};
use store::{Facts, NodeChange, NodeTable, SignedRow, Store};

use super::Tell;
use super::fixture::Fixture;

/// Measures in a folder of its own under the system's temporary one (`TMPDIR`).
pub(super) fn run(runs: u32, tell: &mut Tell<'_>) -> eyre::Result<()> {
    let folder = std::env::temp_dir().join(format!("watchtower-updates-{}", std::process::id()));
    std::fs::create_dir_all(&folder).wrap_err("a temporary folder is needed")?;
    let outcome = measure(&folder, runs, tell);
    std::fs::remove_dir_all(&folder)?;
    outcome
}

fn measure(folder: &Path, runs: u32, tell: &mut Tell<'_>) -> eyre::Result<()> {
    let mut fixture = Fixture::new()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let terms = *fixture.channel.terms();
    let open = |name: &str| {
        let account = terms.participant.account;
        let facts = Facts { chain_id: terms.chain_id, vipe: terms.vipe, account };
        Store::open(folder.join(name), facts)
    };
    let (participant, counterparty) = (open("participant.redb")?, open("counterparty.redb")?);
    let (mut turns, mut updates) = (Vec::new(), Vec::new());
    for _run in 0..runs {
        let began = Instant::now();
        fixture.update_with(&mut |role, record| {
            let store = match role {
                Role::Participant => &participant,
                Role::Counterparty => &counterparty,
            };
            let began = Instant::now();
            runtime.block_on(store.commit_node(turn(record)))?;
            turns.push(began.elapsed());
            Ok(())
        })?;
        updates.push(began.elapsed());
    }
    tell("a node's turn made durable", &mut turns)?;
    tell("update, every turn durable, both sides", &mut updates)?;
    Ok(())
}

/// A record as a node stores it: what is signed, and the record itself.
fn turn(record: &Record) -> Vec<NodeChange> {
    let base = record.base();
    let latest = record.latest().map(|state| (state.state().nonce, *state.digest()));
    let signed = match record.pending() {
        Pending::Outstanding(_, partial) => Some((partial.state().nonce, partial.state().digest())),
        _ => latest,
    };
    let signed = signed.map(|(nonce, digest)| {
        let digest = B256::new(digest.to_bytes());
        NodeChange::Signed(base.channel_id, SignedRow { nonce, digest, payload: Bytes::new() })
    });
    let key = base.channel_id.get().to_be_bytes().to_vec();
    signed.into_iter().chain([NodeChange::Put(NodeTable::Lanes, key, record.to_bytes())]).collect()
}

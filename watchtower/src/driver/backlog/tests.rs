//! A mass exit against a real store: more obligations than the submitter takes.

use std::time::Duration;

use alloy_primitives::{Address, Bytes, U256};
use chain::account::Account;
use chain::calls::Call;
use chain::follower::Finality;
use chain::provider::{Endpoint, Rpc};
use chain::submitter::{OBLIGATIONS_MAX, Patience, SubmitConfig};
use protocol::ChannelId;
use store::{DisputeId, Facts};

use super::super::obligation::{Bounds, Purpose, new};
use super::*;

const START: u64 = 1_000_000;

fn row(channel: u64, deadline: u64) -> OutboxRow {
    let channel_id = ChannelId::try_from(channel).unwrap();
    let dispute = DisputeId { channel_id, epoch: 1 };
    let owner = Owner { dispute, purpose: Purpose::Override { nonce: 7 } };
    let call =
        Call { to: Address::repeat_byte(9), data: Bytes::from(vec![1; 100]), value: U256::ZERO };
    let bounds = Bounds {
        not_before: None,
        deadline: Some(deadline),
        gas: 3_000_000,
        max_cost: U256::from(5),
    };
    new(owner, call, &bounds)
}

async fn empty() -> (tempfile::TempDir, Store, Submitter) {
    let folder = tempfile::tempdir().unwrap();
    let account = Account::from_bytes(&[7; 32]).unwrap();
    let facts = Facts { chain_id: 1, vipe: Address::repeat_byte(9), account: account.address() };
    let store = Store::open(folder.path().join("tower.redb"), facts).unwrap();
    // Nothing is asked of it here.
    let endpoint = Endpoint {
        request_timeout: Duration::from_millis(10),
        ..Endpoint::new("http://127.0.0.1:9")
    };
    let rpc = Rpc::connect(&endpoint).await.unwrap();
    let config = SubmitConfig {
        chain_id: 1,
        finality: Finality::Tag,
        patience: Patience::default(),
        balance_min: U256::ZERO,
    };
    (folder, store, Submitter::new(rpc, account, config))
}

async fn put(store: &Store, rows: impl Iterator<Item = OutboxRow>) {
    store.commit(rows.map(|row| row.change().unwrap()).collect()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mass_exit_stops_nothing_and_the_most_urgent_are_worked_on() {
    let (_folder, store, mut submitter) = empty().await;
    let extra = 300_u64;
    let all = OBLIGATIONS_MAX as u64 + extra;
    // The last ones are due first.
    put(&store, (1..=all).map(|channel| row(channel, START + (all - channel) * 1_000))).await;
    let mut backlog = Backlog::default();
    assert!(backlog.scan(&store, &mut submitter).unwrap().is_empty());
    backlog.fill(&store, &mut submitter).unwrap();
    assert_eq!(submitter.open().count(), OBLIGATIONS_MAX);
    assert_eq!(submitter.health().borrow().backlog.count as u64, extra);
    let latest = submitter.open().filter_map(|record| record.obligation.deadline).max().unwrap();
    assert!(latest <= START + (OBLIGATIONS_MAX as u64) * 1_000, "the least urgent ones wait");

    // One more comes, due before all others.
    put(&store, std::iter::once(row(all + 1, START - 50_000))).await;
    backlog.scan(&store, &mut submitter).unwrap();
    backlog.fill(&store, &mut submitter).unwrap();
    let urgent = row(all + 1, 0).record.obligation.id;
    assert!(submitter.open().any(|record| record.obligation.id == urgent));
    assert_eq!(submitter.health().borrow().backlog.count as u64, extra + 1);
    assert!(backlog.owner(urgent).is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_gets_its_new_deadline_on_disk_and_moves_up() {
    let (_folder, store, mut submitter) = empty().await;
    let all = OBLIGATIONS_MAX as u64 + 1;
    put(&store, (1..=all).map(|channel| row(channel, START + channel * 1_000))).await;
    let mut backlog = Backlog::default();
    backlog.scan(&store, &mut submitter).unwrap();
    let waits = row(all, 0).record.obligation.id;
    assert!(submitter.set_deadline(waits, Some(5)).is_none(), "it waits");
    let changed = backlog.set_deadline(&store, waits, START).unwrap().unwrap();
    assert_eq!(changed.obligation.deadline, Some(START));
    assert_eq!(backlog.waiting.keys().map(|rank| rank.id()).collect::<Vec<_>>(), [waits]);
    let unknown = row(all + 5, 0).record.obligation.id;
    assert!(backlog.set_deadline(&store, unknown, 1).unwrap().is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_are_gone_are_forgotten() {
    let (_folder, store, mut submitter) = empty().await;
    put(&store, [row(1, START), row(2, START)].into_iter()).await;
    let mut backlog = Backlog::default();
    backlog.scan(&store, &mut submitter).unwrap();
    let gone = row(1, START).record.obligation.id;
    let done = store::Change::OutboxDone { name: OutboxRow::key(gone) };
    store.commit(vec![done]).await.unwrap();
    backlog.scan(&store, &mut submitter).unwrap();
    assert!(backlog.owner(gone).is_none() && backlog.owners.len() == 1);
}

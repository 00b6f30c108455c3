//! A channel's id after a reorganisation: the same channel again, or another one.

use protocol::testing::Pair;
use protocol::{Address, Role};
use store::{Backup, Change, ChannelRow, ChannelStatus, DisputeId, ProofRow, Slot, Store, Verdict};

use crate::disk::{Disk, NO_LIMIT, backup, channel, nonce, open, slot};

fn row(seed: u64, status: ChannelStatus) -> ChannelRow {
    let channel = Pair::with(seed, |terms| terms.channel_id = channel(1)).channel;
    ChannelRow { channel, status, accept_by: 9, opened_block: 3 }
}

async fn set(store: &Store, row: &ChannelRow) {
    store.commit(vec![Change::Channel(Box::new(row.clone()))]).await.unwrap();
}

async fn forget(store: &Store) {
    store.commit(vec![Change::ForgetChannel(channel(1))]).await.unwrap();
}

fn of(row: &ChannelRow, at: u64) -> Backup {
    Backup { identity: row.identity(), ..backup(1, at) }
}

#[tokio::test]
async fn a_channel_that_comes_back_finds_its_backup() {
    let store = open(&Disk::default()).unwrap();
    let ours = row(1, ChannelStatus::Live);
    set(&store, &ours).await;
    store.offer_backup(slot(1), of(&ours, 5), NO_LIMIT).await.unwrap();
    forget(&store).await;
    assert_eq!(store.channel(channel(1)).unwrap(), None);
    set(&store, &row(1, ChannelStatus::Open)).await;
    set(&store, &ours).await;
    assert_eq!(store.backup(slot(1)).unwrap(), Some(of(&ours, 5)));
}

#[tokio::test]
async fn another_channel_under_the_id_finds_nothing_of_the_former_one() {
    let store = open(&Disk::default()).unwrap();
    let (ours, theirs) = (row(1, ChannelStatus::Live), row(2, ChannelStatus::Live));
    let other_role = Slot { role: Role::Counterparty, ..slot(1) };
    let dispute = DisputeId { channel_id: channel(1), epoch: 1 };
    set(&store, &ours).await;
    store.offer_backup(slot(1), of(&ours, 500), NO_LIMIT).await.unwrap();
    store.offer_backup(other_role, of(&ours, 500), NO_LIMIT).await.unwrap();
    store.offer_backup(slot(2), backup(2, 1), NO_LIMIT).await.unwrap();
    let proof = ProofRow {
        id: dispute,
        nonce: nonce(500),
        beneficiary: Address::ZERO,
        proof: vec![1].into(),
    };
    store.commit(vec![Change::Proof(Box::new(proof))]).await.unwrap();

    forget(&store).await;
    set(&store, &theirs).await;
    assert_eq!(store.backup(slot(1)).unwrap(), None);
    assert_eq!(store.backup(other_role).unwrap(), None);
    assert_eq!(store.proof(dispute).unwrap(), None, "a proof is of keys that are others now");
    assert_eq!(store.backup(slot(2)).unwrap(), Some(backup(2, 1)), "other ids are left alone");

    // What was admitted just before the change and comes just after it is not taken; the new owner's is, whatever its nonce.
    let late = store.offer_backup(slot(1), of(&ours, 501), NO_LIMIT).await.unwrap();
    assert_eq!(late, Verdict::OtherChannel);
    let first = store.offer_backup(slot(1), of(&theirs, 1), NO_LIMIT).await.unwrap();
    assert_eq!(first, Verdict::Stored { replaced: None });
}

//! A node's turns: whole or not at all, and no second signature at a nonce.

use alloy_primitives::{B256, Bytes};
use protocol::testing::nonce;
use protocol::{ChannelId, testing};
use store::{Facts, NodeChange, NodeTable, SignedRow, Store, StoreError};

fn facts() -> Facts {
    Facts { chain_id: 1, vipe: testing::account(1, "vipe"), account: testing::account(1, "node") }
}

fn signed(at: u64, digest: u8) -> NodeChange {
    let digest = B256::repeat_byte(digest);
    let row = SignedRow { nonce: nonce(at), digest, payload: Bytes::new() };
    NodeChange::Signed(ChannelId::MIN, row)
}

fn put(table: NodeTable, key: &[u8], body: &[u8]) -> NodeChange {
    NodeChange::Put(table, key.to_vec(), body.to_vec())
}

#[tokio::test]
async fn a_turn_that_signs_a_second_state_at_one_nonce_stores_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path().join("node.redb"), facts()).unwrap();
    store.commit_node(vec![signed(1, 1), put(NodeTable::Lanes, b"a", b"1")]).await.unwrap();
    // The same again is no second signature.
    store.commit_node(vec![signed(1, 1), put(NodeTable::Lanes, b"a", b"2")]).await.unwrap();
    for turn in [
        vec![put(NodeTable::Lanes, b"a", b"3"), signed(2, 2), signed(1, 9)],
        vec![put(NodeTable::Lanes, b"a", b"3"), signed(3, 2), signed(3, 3)],
    ] {
        let refused = store.commit_node(turn).await;
        assert!(matches!(refused, Err(StoreError::AlreadySigned { .. })), "{refused:?}");
    }
    assert_eq!(store.node_row(NodeTable::Lanes, b"a").unwrap().unwrap(), b"2");
    assert_eq!(store.signed_states(ChannelId::MIN).unwrap().len(), 1);
}

#[tokio::test]
async fn turns_become_durable_in_the_order_in_which_they_were_begun() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("node.redb");
    let store = Store::open(&path, facts()).unwrap();
    let mut turns = Vec::new();
    for number in 0..100_u8 {
        let turn = vec![put(NodeTable::Payments, b"one", &[number])];
        turns.push(store.begin_node(turn).await.unwrap());
    }
    for turn in turns {
        turn.await.unwrap();
    }
    let archived = NodeChange::Archive(NodeTable::Payments, b"one".to_vec());
    store.commit_node(vec![archived, put(NodeTable::Payments, b"two", b"")]).await.unwrap();
    drop(store);
    let store = Store::open(&path, facts()).unwrap();
    assert_eq!(store.node_row(NodeTable::Archive, b"one").unwrap().unwrap(), [99]);
    let left = store.node_rows(NodeTable::Payments, b"", 10).unwrap();
    assert_eq!(left, [(b"two".to_vec(), Vec::new())]);
    assert!(store.node_rows(NodeTable::Payments, b"o", 10).unwrap().is_empty());
}

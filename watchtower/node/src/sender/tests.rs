use alloy_primitives::{Address, Bytes};
use chain::account::Account;
use chain::calls::Call;
use chain::follower::Finality;
use chain::provider::{Endpoint, Rpc};
use chain::submitter::{OBLIGATIONS_MAX, Patience, SubmitConfig};

use super::*;

/// Nothing is asked of its chain here.
async fn submitter() -> Submitter {
    let endpoint = Endpoint {
        request_timeout: Duration::from_millis(10),
        ..Endpoint::new("http://127.0.0.1:9")
    };
    let config = SubmitConfig {
        chain_id: 1,
        finality: Finality::Tag,
        patience: Patience::default(),
        balance_min: U256::ZERO,
    };
    let account = Account::from_bytes(&[7; 32]).unwrap();
    Submitter::new(Rpc::connect(&endpoint).await.unwrap(), account, config)
}

fn row(at: usize, deadline: Option<u64>) -> (String, Vec<u8>) {
    let to = Address::repeat_byte(9);
    let call = Call { to, data: Bytes::from(vec![1; 4]), value: U256::ZERO };
    let step = Step { call, repeat_safe: true, deadline };
    let errand = Errand::new(format!("errand {at}"), vec![step]);
    let record = Record::new(errand.obligation(1).unwrap());
    (record.obligation.id.to_string(), serde_json::to_vec(&record).unwrap())
}

#[tokio::test]
async fn what_the_submitter_has_no_room_for_is_offered_again() {
    let (mut submitter, mut known) = (submitter().await, BTreeSet::new());
    let mut outbox: Vec<_> = (0..=OBLIGATIONS_MAX).map(|at| row(at, None)).collect();
    offer(&mut submitter, outbox.clone(), &mut known).unwrap();
    assert_eq!(known.len(), OBLIGATIONS_MAX, "one had no room, or lost it");
    // A more urgent one takes the place of another, which is offered again from then on.
    let urgent = row(9_999, Some(1));
    outbox.push(urgent.clone());
    offer(&mut submitter, outbox.clone(), &mut known).unwrap();
    assert!(known.contains(&urgent.0));
    assert_eq!(known.len(), OBLIGATIONS_MAX);
    // With room they are all taken.
    submitter.restart();
    known.clear();
    outbox.truncate(OBLIGATIONS_MAX);
    offer(&mut submitter, outbox, &mut known).unwrap();
    assert_eq!(known.len(), OBLIGATIONS_MAX);
}

#[tokio::test]
async fn a_name_that_left_the_outbox_is_a_new_one_when_it_comes_again() {
    let (mut submitter, mut known) = (submitter().await, BTreeSet::new());
    offer(&mut submitter, vec![row(1, None)], &mut known).unwrap();
    offer(&mut submitter, Vec::new(), &mut known).unwrap();
    assert!(known.is_empty());
}

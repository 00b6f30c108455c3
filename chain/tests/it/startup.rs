//! A node that is wrong in every way that can be noticed at the start.

use std::time::Duration;

use alloy_primitives::{Address, B256, U256};
use chain::error::Retry;
use chain::provider::startup::{Expectations, StartupError, check};

use crate::world::{CHAIN_ID, World};

#[tokio::test(flavor = "multi_thread")]
async fn each_thing_that_is_wrong_has_its_own_error() {
    let world = World::start().await;
    let now = world.rpc.head().await.unwrap().timestamp;
    let good = Expectations {
        chain_id: CHAIN_ID,
        head_age_max: Some(Duration::from_secs(60)),
        clock_skew_max: Some(Duration::from_secs(15)),
        contracts: world.deployment.contracts(),
        account: Some((world.tower.account.address(), U256::from(1))),
    };
    let findings = check(&world.rpc, &good, now).await.unwrap();
    assert_eq!(findings.balance, Some(world.balance(&world.tower).await));

    let wrong_chain = Expectations { chain_id: 1, ..good.clone() };
    let error = check(&world.rpc, &wrong_chain, now).await.unwrap_err();
    assert_eq!(error.retry(), Retry::Never, "until somebody changes something");
    assert_eq!(error, StartupError::WrongChain { expected: 1, found: CHAIN_ID });

    let error = check(&world.rpc, &good, now + 61).await.unwrap_err();
    assert!(matches!(error, StartupError::Behind { age_s: 61, .. }), "{error}");
    assert_eq!(error.retry(), Retry::Later(None), "a node catches up");
    let error = check(&world.rpc, &good, now - 16).await.unwrap_err();
    assert!(matches!(error, StartupError::ClockBehind { ahead_s: 16, .. }), "{error}");

    let nothing = Address::repeat_byte(0x77);
    let absent =
        Expectations { contracts: vec![("the vault", nothing, B256::ZERO)], ..good.clone() };
    let error = check(&world.rpc, &absent, now).await.unwrap_err();
    assert_eq!(error, StartupError::NoContract { name: "the vault", address: nothing });

    let other = Expectations {
        contracts: vec![("the vault", world.token.address, B256::ZERO)],
        ..good.clone()
    };
    let error = check(&world.rpc, &other, now).await.unwrap_err();
    assert!(matches!(error, StartupError::WrongContract { .. }), "{error}");

    let poor = Expectations { account: Some((nothing, U256::from(1))), ..good };
    let error = check(&world.rpc, &poor, now).await.unwrap_err();
    let needed = U256::from(1);
    assert_eq!(error, StartupError::Unfunded { account: nothing, balance: U256::ZERO, needed });
    assert!(!error.advice().is_empty());
}

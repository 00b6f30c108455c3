//! Disputes that wait to be mined.

use std::{sync::atomic::Ordering, time::Duration};

use alloy_primitives::keccak256;
use chain::{
    pending::PendingWatch,
    provider::{Endpoint, Rpc},
};

use crate::world::World;

#[tokio::test(flavor = "multi_thread")]
async fn a_dispute_is_known_before_it_is_mined_by_subscription_and_by_polling() {
    let world = World::start().await;
    let channel = world.open(1).await;
    world.stop_mining().await;
    let mut watches = Vec::new();
    for url in [&world.ws, &world.http] {
        let rpc = Rpc::connect(&Endpoint::new(&**url)).await.unwrap();
        let interval = Duration::from_millis(50);
        let (watch, hints, counters) = PendingWatch::new(rpc, world.vipe.address, interval);
        #[allow(clippy::disallowed_methods, reason = "a test's own task; ends with its reader")]
        let task = tokio::spawn(watch.run());
        watches.push((hints, counters, task));
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    let before = world.head().await;
    let call = world.dispute_call(channel, 1, 4, 100).await;
    let hash = world.hub.submit(Some(call.to), call.data, call.value).await.unwrap();
    for (mut hints, counters, task) in watches {
        let hint = tokio::time::timeout(Duration::from_secs(5), hints.recv()).await;
        let hint = hint.expect("it is hinted at").unwrap();
        assert_eq!((hint.transaction, hint.channel), (hash, channel));
        assert_eq!((hint.nonce.get(), hint.claim.get()), (4, 1_400));
        assert_eq!(keccak256(hint.dispute_key), keccak256(world.dispute_key(1)));
        assert_eq!(world.head().await, before, "not mined yet");
        // It stays in the pool and is hinted at once.
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert!(hints.try_recv().is_err());
        assert_eq!(counters.hints.load(Ordering::Relaxed), 1);
        assert_eq!(counters.dropped.load(Ordering::Relaxed), 0);
        drop(hints);
        tokio::time::timeout(Duration::from_secs(5), task).await.expect("it ends").unwrap();
    }
}

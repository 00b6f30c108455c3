//! A dispute that waits to be mined: the proof against it is ready before its block.

use alloy_primitives::{B256, Bytes};
use chain::account::Transaction;
use chain::fees::Fees;
use chain::provider::At;
use protocol::Role;
use serde_json::{Value, json};

use crate::story::{assert_in_order, rescued, steps};
use crate::world::{CHAIN_ID, Running, SIDE, WINDOW_S, World, revealed};

const PROOF: Bytes = Bytes::from_static(b"a proof that the verifier of this world takes");

async fn pending(tower: &Running) -> Value {
    tower.get("/v1/status").await.1["pending"].clone()
}

/// The life of a stale dispute that waits in the pool for a while, at a tower that looks there or does not.
async fn life(watches: bool) -> Value {
    let world = World::start(WINDOW_S).await;
    let pair = world.open(31).await;
    let channel = pair.channel.id().to_string();
    let flag = if watches { "true" } else { "false" };
    let tower = world.start_tower_with(&world.config(&[("chain.watch_pending", flag)])).await;
    tower.wait("/readyz", 240, |status, _| status == 200).await;
    tower.caught_up(&world).await;
    let live = pair.final_state(40, SIDE);
    assert_eq!(tower.back_up(&pair.seal(Role::Participant, &live).to_bytes()).await.0, 200);

    world.hold();
    let call = world.dispute_call(&pair, &pair.final_state(3, 100), PROOF).await;
    let sent = world.hub.submit(Some(call.to), call.data, call.value).await.unwrap();
    if watches {
        let ready = |_, status: &Value| status["pending"]["proofs_ready"] == 1;
        let status = tower.wait("/v1/status", 120, ready).await;
        let shown = &status["pending"]["disputes"][0];
        assert_eq!((&shown["transaction"], &shown["nonce"]), (&json!(sent), &json!(3)));
        assert_eq!(shown["channel"], json!(pair.channel.id()));
        let key = revealed(&pair.dispute_key).to_string();
        assert!(!status.to_string().contains(key.trim_start_matches("0x")), "the key is shown");
        let disputes = tower.get("/v1/disputes").await.1;
        assert_eq!(disputes, json!([]), "nothing is stored before it is mined");
    }
    world.go_on();
    let life = rescued(&world, &tower, &channel, 1).await;
    assert_eq!(life["dispute"]["outcome"]["outcome"], "won", "{life:#}");
    let order = ["seen", "opened", "decided", "proving", "proved", "queued", "sent", "overridden"];
    assert_in_order(&steps(&life), &order);
    assert_eq!(pending(&tower).await["proofs_used"], u64::from(watches));
    tower.stop().await.unwrap();
    life
}

/// Milliseconds from the dispute's block, as it was read, to the override on its way.
fn reaction_ms(life: &Value) -> u64 {
    let at = |step: &str| {
        let lines = life["journal"].as_array().unwrap();
        lines.iter().find(|line| line["step"] == step).unwrap()["at_ms"].as_u64().unwrap()
    };
    at("sent") - at("seen")
}

#[tokio::test(flavor = "multi_thread")]
async fn an_override_leaves_without_waiting_for_a_proof_when_the_dispute_was_seen_before_its_block()
{
    let (without, with) =
        (reaction_ms(&Box::pin(life(false)).await), reaction_ms(&Box::pin(life(true)).await));
    #[expect(clippy::print_stderr, reason = "the figures are what this test is for")]
    {
        eprintln!(
            "from the dispute's block to the override: {with} ms with a hint, {without} ms without"
        );
    }
    assert!(with < without, "{with} ms with a hint, {without} ms without");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_waiting_dispute_with_a_key_that_is_not_the_channels_prepares_and_shows_nothing() {
    let world = World::start(WINDOW_S).await;
    let pair = world.open(32).await;
    let tower = world.start_tower().await;
    tower.caught_up(&world).await;
    let live = pair.final_state(40, SIDE);
    assert_eq!(tower.back_up(&pair.seal(Role::Participant, &live).to_bytes()).await.0, 200);

    world.hold();
    let mut call = world.dispute_call(&pair, &pair.final_state(3, 100), PROOF).await;
    let mut data = call.data.to_vec();
    let key = revealed(&pair.dispute_key);
    let place = data.windows(32).position(|bytes| bytes == key.as_slice()).unwrap();
    data[place..place + 32].copy_from_slice(B256::repeat_byte(7).as_slice());
    call.data = data.into();
    // Not simulated: the vault would refuse it.
    let account = &world.hub.account;
    let nonce = world.rpc.transaction_count(account.address(), At::Latest).await.unwrap();
    let gas = 1_000_000_000;
    let transaction = Transaction {
        nonce,
        gas_limit: 1_000_000,
        fees: Fees { max_fee: 100 * gas, priority_fee: gas },
        to: Some(call.to),
        value: call.value,
        data: call.data,
    };
    let (_, bytes) = account.sign(CHAIN_ID, transaction).await.unwrap();
    world.rpc.send_raw(&bytes).await.unwrap();
    let hinted = |_, status: &Value| status["pending"]["hints"] == 1;
    tower.wait("/v1/status", 60, hinted).await;
    // A hint that was worth something would be shown by now.
    tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    let seen = pending(&tower).await;
    assert_eq!((&seen["disputes"], &seen["proofs_prepared"]), (&json!([]), &json!(0)), "{seen}");
    world.go_on();
    tower.stop().await.unwrap();
}

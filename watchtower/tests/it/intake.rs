//! The intake: what is taken, what is refused, and in which words.

use alloy_primitives::{Bytes, hex};
use protocol::Role;
use protocol::backup::{Envelope, SignedReceipt, UnverifiedEnvelope};
use protocol::testing::Pair;
use serde_json::{Value, json};

use crate::world::{CHAIN_ID, Running, World};

fn code(answer: &Value) -> &str {
    answer["error"]["code"].as_str().unwrap_or("none")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receipt_names_an_envelope_that_is_served_back() {
    let world = World::start(60).await;
    let pair = world.open(1).await;
    let tower = world.start_tower().await;
    tower.caught_up(&world).await;
    let envelope = pair.seal(Role::Counterparty, &pair.final_state(7, 500));
    let (status, taken) = tower.back_up(&envelope.to_bytes()).await;
    assert_eq!((status, &taken["new"]), (200, &json!(true)), "{taken}");
    let receipt: SignedReceipt = serde_json::from_value(taken["receipt"].clone()).unwrap();
    receipt.covers(&envelope, CHAIN_ID, world.vipe.address).unwrap();
    assert_eq!(receipt.receipt().tower, world.tower.address());

    let (status, again) = tower.back_up(&envelope.to_bytes()).await;
    assert_eq!((status, &again["new"]), (200, &json!(false)), "{again}");

    let path = format!("/v1/backups/{}/counterparty", pair.channel.id());
    let (status, served) = tower.get(&path).await;
    assert_eq!(status, 200, "{served}");
    let bytes: Bytes = serde_json::from_value(served["envelope"].clone()).unwrap();
    let back = UnverifiedEnvelope::from_bytes(&bytes).unwrap().admit(&pair.channel).unwrap();
    assert_eq!(back.id(), envelope.id());
    let (status, nothing) = tower.get(&path.replace("counterparty", "participant")).await;
    assert_eq!((status, code(&nothing)), (404, "nothing"));

    // Older, and a newer one.
    let older = pair.seal(Role::Counterparty, &pair.final_state(6, 500));
    let (status, answer) = tower.back_up(&older.to_bytes()).await;
    assert_eq!((status, code(&answer)), (409, "older"), "{answer}");
    let newer = pair.seal(Role::Counterparty, &pair.final_state(8, 400));
    assert_eq!(tower.back_up(&newer.to_bytes()).await.0, 200);
    refused_envelopes(&tower, &world, &pair, &newer).await;
    refused_bodies(&tower).await;

    // Nothing of all that changed what is held.
    let (_, served) = tower.get(&path).await;
    assert_eq!(served["id"], json!(newer.id()));
    tower.stop().await.unwrap();
}

async fn refused_envelopes(tower: &Running, world: &World, pair: &Pair, held: &Envelope) {
    // What is held already is seen before its signature is checked, and so is a copy of it with another one: both are the same
    // envelope, and get the receipt for what is held.
    let mut copied = held.to_bytes();
    *copied.last_mut().unwrap() ^= 1;
    let (status, answer) = tower.back_up(&copied).await;
    assert!(status == 400 || answer["new"] == json!(false), "{answer}");
    let mut forged = pair.seal(Role::Counterparty, &pair.final_state(9, 400)).to_bytes();
    *forged.last_mut().unwrap() ^= 1;
    let mut of_other_role = held.to_bytes();
    of_other_role[30] ^= 1;
    let elsewhere = Pair::in_vault(1, CHAIN_ID, alloy_primitives::Address::repeat_byte(9), 1);
    let elsewhere = elsewhere.seal(Role::Participant, &elsewhere.final_state(9, 1)).to_bytes();
    let unknown = Pair::in_vault(1, CHAIN_ID, world.vipe.address, 77);
    let unknown = unknown.seal(Role::Participant, &unknown.final_state(9, 1)).to_bytes();
    let stranger = Pair::in_vault(5, CHAIN_ID, world.vipe.address, pair.channel.id().get());
    let stranger = stranger.seal(Role::Participant, &stranger.final_state(99, 1)).to_bytes();
    let huge = pair.seal(Role::Counterparty, &pair.final_state(1 << 55, 1)).to_bytes();
    for (name, bytes, status, word) in [
        ("garbage", vec![0x5a; 600], 400, "decode"),
        ("empty", Vec::new(), 400, "decode"),
        ("one byte short", held.to_bytes()[1..].to_vec(), 400, "decode"),
        ("one byte long", [held.to_bytes(), vec![0]].concat(), 400, "decode"),
        ("another vault", elsewhere, 422, "other_domain"),
        ("unknown channel", unknown, 404, "unknown_channel"),
        ("a stranger's key", stranger, 422, "signature"),
        ("a forged signature", forged, 422, "signature"),
        ("the other party's slot", of_other_role, 422, "signature"),
        ("nonce inflation", huge, 429, "too_fast"),
    ] {
        let (found, answer) = tower.back_up(&bytes).await;
        // A changed byte can also make an encoding that is none.
        let decode = name == "a forged signature" && code(&answer) == "decode";
        assert!(decode || (found, code(&answer)) == (status, word), "{name}: {found} {answer}");
        assert!(answer["error"]["message"].as_str().unwrap().len() > 10, "{name}: {answer}");
    }
}

async fn refused_bodies(tower: &Running) {
    for body in [
        String::new(),
        "not json".to_owned(),
        r#"{"envelope":5}"#.to_owned(),
        r#"{"envelope":"0xzz"}"#.to_owned(),
        r#"{"envelope":"0x00","more":1}"#.to_owned(),
        format!(r#"{{"envelope":"{}"}}"#, hex::encode_prefixed(vec![0; 5_000])),
    ] {
        let (status, answer) = tower.post(body.clone()).await;
        assert!(
            status == 400 && ["body", "decode"].contains(&code(&answer)),
            "{body}: {status} {answer}"
        );
    }
    for (path, word) in [
        ("/v1/backups/0/participant", "path"),
        ("/v1/backups/1/tower", "path"),
        ("/v1/disputes/x", "path"),
        ("/nothing", "no_such_page"),
    ] {
        let (status, answer) = tower.get(path).await;
        assert!((400..500).contains(&status) && code(&answer) == word, "{path}: {status} {answer}");
    }
}

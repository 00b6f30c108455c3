//! A key that another process holds: a real one (anvil, where `ANVIL` names it) and ones that lie.

use std::{sync::Arc, time::Duration};

use alloy_primitives::{Address, Bytes, U256, hex};
use axum::{Json, Router, extract::State, routing::post};
use chain::{
    account::{Account, AccountError, SignerError, Transaction, Typed},
    consent::{Parties, close_consent, withdraw_consent},
    fees::Fees,
};
use protocol::{
    ids::{ChannelId, EscrowVersion, Nonce},
    session::SessionDomain,
    vipe::{Closing, Payout, Withdrawal},
};
use serde_json::{Value, json};

use crate::world::{CHAIN_ID, World, amount};

const KEY: [u8; 32] = hex!("59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d");
const OTHER: [u8; 32] = hex!("5de4111afa1a4b94908f83103eb1f1706367c2e68ca870fc3fb9a804cdab365a");
const PATIENCE: Duration = Duration::from_secs(5);

fn here() -> Account {
    Account::from_bytes(&KEY).unwrap()
}

fn transaction(nonce: u64) -> Transaction {
    Transaction {
        nonce,
        gas_limit: 50_000,
        fees: Fees { max_fee: 3_000_000_000, priority_fee: 1_000_000_000 },
        to: Some(Address::repeat_byte(9)),
        value: U256::from(7),
        data: Bytes::from_static(&[1, 2, 3]),
    }
}

fn messages() -> Vec<Typed> {
    let domain = SessionDomain { chain_id: CHAIN_ID, vipe: Address::repeat_byte(2) };
    let parties = Parties {
        channel: ChannelId::MIN,
        participant: here().address(),
        counterparty: Address::repeat_byte(3),
    };
    let paid = Payout { participant: amount((1 << 100) + 1), vip: amount(0) };
    let withdrawal = Withdrawal {
        nonce: Nonce::try_from(u64::MAX >> 8).unwrap(),
        version: EscrowVersion::try_from(2).unwrap(),
        balance: amount((1 << 111) + 12_345),
        paid,
        deadline: u64::MAX,
    };
    let closing = Closing { epoch: 3, paid, deadline: 1 };
    vec![
        withdraw_consent(&domain, &parties, u64::MAX, &withdrawal),
        close_consent(&domain, &parties, 0, &closing),
        Typed::of_seed(CHAIN_ID, domain.vipe, u32::MAX),
    ]
}

#[tokio::test]
async fn a_signer_elsewhere_gives_the_same_signatures_as_the_key() {
    if std::env::var("ANVIL").is_err() {
        #[allow(clippy::print_stderr, reason = "what is not shown must be said")]
        {
            eprintln!("SKIPPED: the embedded chain holds no accounts that sign");
        }
        return;
    }
    let world = World::start().await;
    let account = Account::elsewhere(&world.http, here().address(), PATIENCE).unwrap();
    account.probe().await.unwrap();
    for message in messages() {
        let signature = account.sign_typed(&message).await.unwrap();
        assert_eq!(signature, here().sign_digest(&message.digest()).unwrap(), "{message:?}");
    }
    let signed = account.sign(CHAIN_ID, transaction(3)).await.unwrap();
    assert_eq!(signed, here().sign(CHAIN_ID, transaction(3)).await.unwrap());
    let stranger = Account::elsewhere(&world.http, Address::repeat_byte(1), PATIENCE).unwrap();
    assert_eq!(stranger.probe().await, Err(SignerError::NotThere(Address::repeat_byte(1))));
    let away = Account::elsewhere("http://127.0.0.1:1", here().address(), PATIENCE).unwrap();
    let error = away.sign(CHAIN_ID, transaction(3)).await.unwrap_err();
    assert!(matches!(&error, AccountError::Signer(SignerError::Unreachable { .. })), "{error:?}");
    assert!(error.is_passing());
}

type Says = Arc<dyn Fn(&str) -> Value + Send + Sync>;

/// A signer that answers whatever it likes.
async fn signer(says: Says) -> String {
    async fn answer(State(says): State<Says>, Json(asked): Json<Value>) -> Json<Value> {
        let method = asked["method"].as_str().unwrap_or_default();
        let mut answer = match method {
            "eth_accounts" => json!({"result": [here().address()]}),
            _ => says(method),
        };
        if answer == json!("silence") {
            std::future::pending::<()>().await;
        }
        answer["jsonrpc"] = json!("2.0");
        answer["id"] = asked["id"].clone();
        Json(answer)
    }
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let app = Router::new().route("/", post(answer)).with_state(says);
    #[expect(clippy::disallowed_methods, reason = "a test has no Tasks")]
    tokio::spawn(async move {
        axum::serve(listener, app).await.unwrap();
    });
    url
}

async fn signed_by(key: &[u8; 32], chain_id: u64, of: Transaction) -> Bytes {
    Account::from_bytes(key).unwrap().sign(chain_id, of).await.unwrap().1
}

#[tokio::test]
async fn a_transaction_that_is_not_the_one_that_was_asked_for_is_not_used() {
    let good = signed_by(&KEY, CHAIN_ID, transaction(3)).await;
    let changed = |change: fn(&mut Transaction)| {
        let mut other = transaction(3);
        change(&mut other);
        signed_by(&KEY, CHAIN_ID, other)
    };
    let others = [
        changed(|it| it.nonce = 4).await,
        changed(|it| it.gas_limit = 50_001).await,
        changed(|it| it.fees.max_fee += 1).await,
        changed(|it| it.to = Some(Address::repeat_byte(8))).await,
        changed(|it| it.to = None).await,
        changed(|it| it.value = U256::from(8)).await,
        changed(|it| it.data = Bytes::new()).await,
        signed_by(&KEY, CHAIN_ID + 1, transaction(3)).await,
        [good.as_ref(), &[0]].concat().into(),
    ];
    for other in others {
        let url = signer(Arc::new(move |_: &str| json!({"result": other}))).await;
        let account = Account::elsewhere(&url, here().address(), PATIENCE).unwrap();
        let error = account.sign(CHAIN_ID, transaction(3)).await.unwrap_err();
        assert_eq!(error, AccountError::Signer(SignerError::OtherTransaction));
    }
    let stolen = signed_by(&OTHER, CHAIN_ID, transaction(3)).await;
    let url = signer(Arc::new(move |_: &str| json!({"result": stolen}))).await;
    let account = Account::elsewhere(&url, here().address(), PATIENCE).unwrap();
    let error = account.sign(CHAIN_ID, transaction(3)).await.unwrap_err();
    assert!(matches!(error, AccountError::Signer(SignerError::OtherSigner { .. })), "{error:?}");
    // Told as Clef and Geth tell it.
    let raw = good.clone();
    let url = signer(Arc::new(move |_: &str| json!({"result": {"raw": raw, "tx": {}}}))).await;
    let account = Account::elsewhere(&url, here().address(), PATIENCE).unwrap();
    assert_eq!(account.sign(CHAIN_ID, transaction(3)).await.unwrap().1, good);
}

#[tokio::test]
async fn a_consent_that_another_key_signed_or_that_says_something_else_is_not_used() {
    let [wanted, other, _] = messages().try_into().unwrap();
    let stolen = Account::from_bytes(&OTHER).unwrap().sign_digest(&wanted.digest()).unwrap();
    let elsewhere = here().sign_digest(&other.digest()).unwrap();
    for lie in [stolen, elsewhere] {
        let url = signer(Arc::new(move |_: &str| json!({"result": lie}))).await;
        let account = Account::elsewhere(&url, here().address(), PATIENCE).unwrap();
        let error = account.sign_typed(&wanted).await.unwrap_err();
        let is_other = matches!(error, AccountError::Signer(SignerError::OtherSigner { .. }));
        assert!(is_other, "{error:?}");
    }
    let unusable = [json!("0x"), json!(7), json!("0xff"), json!(format!("0x{}", "00".repeat(65)))];
    for nonsense in unusable {
        let url = signer(Arc::new(move |_: &str| json!({"result": nonsense}))).await;
        let account = Account::elsewhere(&url, here().address(), PATIENCE).unwrap();
        let error = account.sign_typed(&wanted).await.unwrap_err();
        assert!(matches!(error, AccountError::Signer(SignerError::Form(_))), "{error:?}");
    }
}

#[tokio::test]
async fn a_signer_that_refuses_or_says_nothing_is_told_from_one_that_lies() {
    let refuse = |_: &str| json!({"error": {"code": -32_000, "message": "the person said no"}});
    let url = signer(Arc::new(refuse)).await;
    let account = Account::elsewhere(&url, here().address(), PATIENCE).unwrap();
    let error = account.sign(CHAIN_ID, transaction(3)).await.unwrap_err();
    let AccountError::Signer(SignerError::Refused { code: -32_000, message }) = error else {
        panic!("{error:?}");
    };
    assert_eq!(message, "the person said no");
    let url = signer(Arc::new(|_: &str| json!("silence"))).await;
    let short = Duration::from_millis(200);
    let account = Account::elsewhere(&url, here().address(), short).unwrap();
    let error = account.sign(CHAIN_ID, transaction(3)).await.unwrap_err();
    assert!(matches!(error, AccountError::Signer(SignerError::Late { .. })), "{error:?}");
    // An older name of the method is tried where the newer one is not there.
    let message = messages().remove(0);
    let good = here().sign_digest(&message.digest()).unwrap();
    let expected = good.clone();
    let says = move |method: &str| match method {
        "eth_signTypedData" => json!({"result": good}),
        _ => json!({"error": {"code": -32_601, "message": "no such method"}}),
    };
    let url = signer(Arc::new(says)).await;
    let account = Account::elsewhere(&url, here().address(), PATIENCE).unwrap();
    assert_eq!(account.sign_typed(&message).await.unwrap(), expected);
}

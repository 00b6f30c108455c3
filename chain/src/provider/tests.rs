//! Addresses and errors, without a node.

use super::{endpoint::parse_url, *};
use alloy_primitives::Bytes;

#[test]
fn only_addresses_of_nodes_are_taken() {
    for good in [
        "http://127.0.0.1:8545",
        "https://node.example/v3/key",
        "ws://[::1]:8546",
        "wss://a.example",
    ] {
        assert!(parse_url(good).is_ok(), "{good}");
    }
    for bad in [
        "",
        "127.0.0.1:8545",
        "ftp://a.example",
        "http://",
        "localhost:8545",
        "file:///etc/passwd",
        "http://a b",
    ] {
        assert!(matches!(parse_url(bad), Err(RpcError::Address { .. })), "{bad}");
    }
}

#[test]
fn a_key_in_an_address_is_never_shown() {
    let endpoint = Endpoint::new("https://user:secret@node.example:8443/v3/secret?token=secret");
    let text = format!("{endpoint:?}");
    assert!(text.contains("https://node.example:8443") && !text.contains("secret"), "{text}");
}

#[tokio::test]
async fn a_node_that_is_not_there_is_unreachable() {
    // Port 9 of loopback: nothing listens there.
    for url in ["http://127.0.0.1:9/secret", "ws://127.0.0.1:9/secret"] {
        let connected = Rpc::connect(&Endpoint::new(url)).await;
        let error = match connected {
            Ok(rpc) => rpc.chain_id().await.expect_err("nothing listens"),
            Err(error) => error,
        };
        assert!(matches!(error, RpcError::Unreachable { .. }), "{error:?}");
        assert!(!error.to_string().contains("secret"), "{error}");
    }
}

#[test]
fn reverts_are_told_from_trouble() {
    let refused = |code, message: &str, data: Option<Bytes>| {
        CallError::from(RpcError::Refused {
            method: "eth_call".to_owned(),
            code,
            message: message.to_owned(),
            data,
        })
    };
    assert!(matches!(refused(3, "execution reverted", None), CallError::Reverted { .. }));
    assert!(matches!(refused(-32000, "execution reverted", None), CallError::Reverted { .. }));
    assert!(matches!(
        refused(-32015, "VM error", Some(Bytes::from_static(&[1]))),
        CallError::Reverted { .. }
    ));
    assert!(matches!(refused(-32000, "header not found", None), CallError::Rpc(_)));
    assert!(matches!(refused(-32005, "limit exceeded", None), CallError::Rpc(_)));
}

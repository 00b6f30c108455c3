//! Bounds, malformed requests, and stopping.

use std::{net::Ipv4Addr, time::Duration};

use alloy::providers::Provider;
use chain::devnet::{Devnet, DevnetConfig, DevnetError, DevnetHandle, Limits, Mining};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::{Transfer, http, instant, manual};

/// A POST without alloy's help.
async fn post(devnet: &DevnetHandle, body: impl Into<reqwest::Body>) -> (u16, Value) {
    let answer = reqwest::Client::new().post(devnet.http_url()).body(body).send().await.unwrap();
    let status = answer.status().as_u16();
    (status, serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap_or(Value::Null))
}

#[tokio::test]
async fn malformed_requests_get_the_codes_of_json_rpc() {
    let devnet = manual().await;
    let code = async |body: &str| post(&devnet, body.to_owned()).await.1["error"]["code"].clone();
    assert_eq!(code("{").await, -32_700);
    assert_eq!(code("[]").await, -32_600);
    assert_eq!(code("7").await, -32_600);
    assert_eq!(code(r#"{"id":1,"method":"eth_chainId"}"#).await, -32_600);
    assert_eq!(code(r#"{"jsonrpc":"2.0","id":1,"method":"eth_mystery"}"#).await, -32_601);
    assert_eq!(
        code(r#"{"jsonrpc":"2.0","id":1,"method":"eth_getBalance","params":["0x12"]}"#).await,
        -32_602
    );
    assert_eq!(code(r#"{"jsonrpc":"2.0","id":1,"method":"eth_getBalance"}"#).await, -32_602);
    assert_eq!(
        code(r#"{"jsonrpc":"2.0","id":1,"method":"eth_getBalance","params":{}}"#).await,
        -32_602
    );
    let (status, answer) = post(&devnet, r#"{"jsonrpc":"2.0","method":"eth_chainId"}"#).await;
    assert_eq!((status, answer), (204, Value::Null), "a notification is not answered");
}

#[tokio::test]
async fn a_batch_is_answered_in_order_and_bounded() {
    let limits = Limits { batch: 3, ..Default::default() };
    let devnet = Devnet::start(DevnetConfig { limits, ..DevnetConfig::manual() }).await.unwrap();
    let request = |id: u64, method: &str| json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": [] });
    let batch =
        json!([request(1, "eth_chainId"), request(2, "nothing"), request(3, "eth_blockNumber")]);
    let (_, answer) = post(&devnet, batch.to_string()).await;
    assert_eq!(answer[0], json!({ "jsonrpc": "2.0", "id": 1, "result": "0x7a69" }));
    assert_eq!(answer[1]["error"]["code"], -32_601);
    assert_eq!(answer[2]["result"], "0x0");
    let batch: Vec<Value> = (0..4).map(|id| request(id, "eth_chainId")).collect();
    let (_, answer) = post(&devnet, json!(batch).to_string()).await;
    assert_eq!(answer["error"]["message"], "batch too large");
}

#[tokio::test]
async fn a_request_over_the_size_bound_is_refused() {
    let limits = Limits { request_bytes: 10_000, ..Default::default() };
    let devnet = Devnet::start(DevnetConfig { limits, ..DevnetConfig::manual() }).await.unwrap();
    assert_eq!(post(&devnet, vec![b' '; 10_001]).await.0, 413);
    assert_eq!(post(&devnet, vec![b' '; 10_000]).await.0, 200);
}

#[tokio::test]
async fn filters_are_bounded() {
    let limits = Limits { filters: 2, ..Default::default() };
    let devnet = Devnet::start(DevnetConfig { limits, ..DevnetConfig::manual() }).await.unwrap();
    let provider = http(&devnet, 0);
    provider.new_block_filter().await.unwrap();
    provider.new_block_filter().await.unwrap();
    assert!(
        provider.new_block_filter().await.unwrap_err().to_string().contains("too many filters")
    );
}

#[tokio::test]
async fn a_filter_that_fell_behind_the_event_log_is_gone() {
    let limits = Limits { event_backlog: 8, ..Default::default() };
    let devnet = Devnet::start(DevnetConfig { limits, ..DevnetConfig::manual() }).await.unwrap();
    let provider = http(&devnet, 0);
    let filter = provider.new_block_filter().await.unwrap();
    devnet.mine(9).await.unwrap();
    let error = provider.get_filter_changes::<alloy::primitives::B256>(filter).await.unwrap_err();
    assert!(error.to_string().contains("filter not found"));
}

/// Opens a WebSocket by hand, subscribes to heads, and never reads again.
async fn deaf_subscriber(devnet: &DevnetHandle) -> TcpStream {
    let mut socket = TcpStream::connect(devnet.address()).await.unwrap();
    let handshake = "GET / HTTP/1.1\r\nHost: devnet\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                     Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
    socket.write_all(handshake.as_bytes()).await.unwrap();
    let request = br#"{"jsonrpc":"2.0","id":1,"method":"eth_subscribe","params":["newHeads"]}"#;
    // A masked text frame with a mask of zeros.
    let mut frame = vec![0x81, 0x80 | u8::try_from(request.len()).unwrap(), 0, 0, 0, 0];
    frame.extend(request);
    socket.write_all(&frame).await.unwrap();
    let mut answer: Vec<u8> = Vec::new();
    while !answer.windows(8).any(|window| window == br#""result""#) {
        let mut piece = [0; 1_024];
        let read = socket.read(&mut piece).await.unwrap();
        assert!(read > 0, "closed too early");
        answer.extend(&piece[..read]);
    }
    socket
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deaf_subscriber_is_disconnected_and_mining_goes_on() {
    let limits = Limits { event_backlog: 64, mine: 20_000, ..Default::default() };
    let devnet = Devnet::start(DevnetConfig { limits, ..DevnetConfig::manual() }).await.unwrap();
    let mut socket = deaf_subscriber(&devnet).await;
    // About 1.5 kB a head: far more than the kernel's buffers hold.
    assert_eq!(devnet.mine(20_000).await.unwrap(), 20_000);
    let mut drained = vec![0; 1 << 20];
    let ended = tokio::time::timeout(Duration::from_secs(20), async {
        let mut total = 0_usize;
        loop {
            match socket.read(&mut drained).await {
                Ok(0) | Err(_) => return total,
                Ok(read) => total += read,
            }
        }
    });
    let total = ended.await.expect("disconnected in time");
    assert!(total < 20_000 * 1_000, "it did not get every head: {total} bytes");
}

#[tokio::test]
async fn shutdown_ends_connections_and_frees_the_port_and_so_does_drop() {
    let devnet = instant().await;
    let address = devnet.address();
    let _deaf = deaf_subscriber(&devnet).await;
    Transfer::default().send(&devnet).await.unwrap();
    tokio::time::timeout(Duration::from_secs(5), devnet.shutdown()).await.expect("stops in time");
    assert!(TcpStream::connect(address).await.is_err());

    let again = Devnet::start(DevnetConfig { port: address.port(), ..DevnetConfig::manual() })
        .await
        .unwrap();
    let taken =
        Devnet::start(DevnetConfig { port: address.port(), ..DevnetConfig::manual() }).await;
    assert!(matches!(taken, Err(DevnetError::Bind { .. })));
    drop(again);
    for _ in 0..100 {
        if TcpStream::connect(address).await.is_err() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("still listening after drop");
}

#[tokio::test]
async fn only_loopback_is_listened_on_unless_allowed() {
    let config = DevnetConfig {
        host: Ipv4Addr::UNSPECIFIED.into(),
        mining: Mining::Manual,
        ..Default::default()
    };
    assert!(matches!(Devnet::start(config).await, Err(DevnetError::Config { field: "host", .. })));
}

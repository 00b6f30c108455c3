//! The API over a real socket, with somebody in the driver's place who answers that there is nothing.

use std::net::SocketAddr;

use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

use super::{OPENAPI, Token, listen, run};
use crate::driver::Request;
use crate::error::ApiError;

const SECRET: &str = "0123456789abcdef";

async fn start() -> (SocketAddr, CancellationToken) {
    let listener = listen("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let address = listener.local_addr().unwrap();
    let (requests, mut asked) = mpsc::channel::<Request>(4);
    let stop = CancellationToken::new();
    let figures = std::sync::Arc::new(metrics::NodeMetrics::new().unwrap());
    let token = Token::new(Zeroizing::new(SECRET.to_owned()));
    #[expect(clippy::disallowed_methods, reason = "a test has no Tasks")]
    tokio::spawn(run(stop.clone(), listener, (requests, figures), token));
    #[expect(clippy::disallowed_methods, reason = "a test has no Tasks")]
    tokio::spawn(async move {
        while let Some(request) = asked.recv().await {
            let _ = request.answer.send(Err(ApiError::missing("there is nothing")));
        }
    });
    (address, stop)
}

fn client() -> reqwest::Client {
    reqwest::Client::new()
}

#[tokio::test]
async fn without_the_token_nothing_is_shown() {
    let (address, stop) = start().await;
    let page = format!("http://{address}/v1/status");
    let get = |token: Option<&str>| {
        let request = client().get(&page);
        match token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    };
    for wrong in [None, Some(""), Some("0123456789abcdeF"), Some("0123456789abcdef0")] {
        let answer = get(wrong).send().await.unwrap();
        assert_eq!(answer.status(), 401, "{wrong:?}");
        let body: Value = answer.json().await.unwrap();
        assert_eq!(body["error"]["code"], "unauthorised");
    }
    assert_eq!(get(Some(SECRET)).send().await.unwrap().status(), 404);
    let figures = client().get(format!("http://{address}/metrics"));
    assert_eq!(figures.try_clone().unwrap().send().await.unwrap().status(), 401);
    let page = figures.bearer_auth(SECRET).send().await.unwrap().text().await.unwrap();
    assert!(page.contains("watchtower_node_signs 0"), "{page}");
    // What an alert links to is the same for everybody.
    for (name, status) in [("node-cannot-sign", 200), ("none", 404)] {
        let page = client().get(format!("http://{address}/runbooks/{name}")).send().await.unwrap();
        assert_eq!(page.status(), status, "{name}");
    }
    let alive = client().get(format!("http://{address}/healthz")).send().await.unwrap();
    assert!(alive.status().is_success());
    assert!(!format!("{:?}", Token::new(Zeroizing::new(SECRET.to_owned()))).contains("0123"));
    stop.cancel();
}

#[tokio::test]
async fn every_page_of_the_description_is_there_and_refuses_nonsense_in_words() {
    let (address, stop) = start().await;
    let described: Value = serde_json::from_str(OPENAPI).unwrap();
    let mut pages = 0;
    for (path, methods) in described["paths"].as_object().unwrap() {
        let path =
            path.replace("{channel}", "7").replace("{payment}", &format!("0x{}", "ab".repeat(32)));
        let url = format!("http://{address}{path}");
        for (method, described) in methods.as_object().unwrap() {
            pages += 1;
            let request = match method.as_str() {
                "get" => client().get(&url),
                _ => client().post(&url),
            };
            let takes_body = described.get("requestBody").is_some();
            let request = if takes_body { request.json(&json!({"nonsense": 1})) } else { request };
            let answer = request.bearer_auth(SECRET).send().await.unwrap();
            let status = answer.status().as_u16();
            let body: Value = answer.json().await.unwrap();
            if path == "/v1/openapi.json" {
                assert_eq!((status, &body["openapi"]), (200, &json!("3.0.3")));
                continue;
            }
            assert_eq!(status, if takes_body { 400 } else { 404 }, "{method} {path}: {body}");
            assert!(body["error"]["message"].is_string(), "{method} {path}: {body}");
        }
    }
    assert!(pages >= 15, "{pages} pages");
    let wrong = client().delete(format!("http://{address}/v1/status")).bearer_auth(SECRET);
    assert_eq!(wrong.send().await.unwrap().status(), 405);
    let long = "x".repeat(100_000);
    let huge =
        client().post(format!("http://{address}/v1/invoices")).bearer_auth(SECRET).body(long);
    assert!([400, 413].contains(&huge.send().await.unwrap().status().as_u16()));
    stop.cancel();
}

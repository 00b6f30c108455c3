//! Where a node is: its address, how long it may take, and what of that may be shown.

use std::time::Duration;

use alloy::transports::http::reqwest;

use crate::error::RpcError;

/// How to reach a node.
#[derive(Clone)]
pub struct Endpoint {
    /// An `http`, `https`, `ws` or `wss` address. Not printed in full: it may carry a key.
    pub url: String,
    /// The most time to connect.
    pub connect_timeout: Duration,
    /// The most time for one answer.
    pub request_timeout: Duration,
}

impl Endpoint {
    /// The node at `url`, with 5 s to connect and 20 s to answer: a hosted node under load still makes that, and a
    /// block time passes meanwhile at most twice.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            connect_timeout: Duration::from_secs(5),
            request_timeout: Duration::from_secs(20),
        }
    }
}

impl std::fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Endpoint")
            .field(
                "url",
                &parse_url(&self.url).map_or_else(|_| "(unusable)".to_owned(), |url| shown(&url)),
            )
            .field("connect_timeout", &self.connect_timeout)
            .field("request_timeout", &self.request_timeout)
            .finish()
    }
}

pub(crate) fn parse_url(url: &str) -> Result<reqwest::Url, RpcError> {
    let parsed: reqwest::Url =
        url.parse().map_err(|error| RpcError::Address { reason: format!("{error}") })?;
    match parsed.scheme() {
        "http" | "https" | "ws" | "wss" if parsed.host_str().is_some() => Ok(parsed),
        scheme => Err(RpcError::Address {
            reason: format!("{scheme} with a host is not one of http, https, ws, wss"),
        }),
    }
}

/// Scheme, host and port: the part of an address that is no secret.
pub(crate) fn shown(url: &reqwest::Url) -> String {
    let host = url.host_str().unwrap_or_default();
    match url.port() {
        Some(port) => format!("{}://{host}:{port}", url.scheme()),
        None => format!("{}://{host}", url.scheme()),
    }
}

//! How commands reach a running node: its local API, with the token from its folder.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use crate::error::CommandError;
use crate::virtual_node::{API_ADDRESS, API_TOKEN, read_token};

/// A running node, as its folder says how to reach it.
#[derive(Debug)]
pub(crate) struct Client {
    folder: PathBuf,
    url: String,
    http: reqwest::Client,
    token: zeroize::Zeroizing<String>,
}

pub(crate) fn failed(error: impl std::fmt::Display) -> CommandError {
    CommandError::Node(error.to_string())
}

impl Client {
    /// The node whose data folder this is.
    pub(crate) fn of(folder: &Path) -> Result<Self, CommandError> {
        let path = folder.join(API_ADDRESS);
        let address = std::fs::read_to_string(&path).map_err(|source| CommandError::System {
            what: format!(
                "no node has run in {}: start one with `watchtower node run --data-dir {}`",
                folder.display(),
                folder.display()
            ),
            source,
        })?;
        let token = read_token(&folder.join(API_TOKEN))?;
        // No proxy: the token is for this machine's own node.
        let http = reqwest::Client::builder()
            .timeout(Duration::from_secs(30))
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(failed)?;
        Ok(Self {
            folder: folder.to_owned(),
            url: format!("http://{}", address.trim()),
            http,
            token,
        })
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> Result<Value, CommandError> {
        let answer = request.bearer_auth(self.token.as_str()).send().await.map_err(|error| {
            failed(if error.is_connect() {
                format!(
                    "no node answers at {}: is it running? Its folder is {}",
                    self.url,
                    self.folder.display()
                )
            } else {
                format!("the node's answer does not come ({error}); give the same command again")
            })
        })?;
        let status = answer.status();
        let body: Value = answer.json().await.map_err(failed)?;
        if status.is_success() {
            return Ok(body);
        }
        let message = body.pointer("/error/message").and_then(Value::as_str);
        let message = message.map_or_else(|| format!("{status}: {body}"), str::to_owned);
        let code = body.pointer("/error/code").and_then(Value::as_str);
        Err(match code {
            Some("not_now" | "no_payee") => CommandError::NotNow(message),
            Some("unauthorised") => failed(format!(
                "the node at {} does not take the token in {}: another node listens there, or the file was changed since it started",
                self.url,
                self.folder.display()
            )),
            _ => failed(message),
        })
    }

    pub(crate) async fn get(&self, path: &str) -> Result<Value, CommandError> {
        self.send(self.http.get(format!("{}{path}", self.url))).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Result<Value, CommandError> {
        self.send(self.http.post(format!("{}{path}", self.url)).json(body)).await
    }
}

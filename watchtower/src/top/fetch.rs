//! What is asked of the tower.

use std::time::Duration;

use serde_json::Value;

/// A tower that takes longer is shown as not answering.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);

/// What the tower said last.
#[derive(Debug, Clone, Default)]
pub(crate) struct View {
    /// Where it is.
    pub(crate) url: String,
    /// `/v1/status`.
    pub(crate) status: Value,
    /// `/v1/disputes`.
    pub(crate) disputes: Vec<Value>,
    /// Why it did not answer.
    pub(crate) error: Option<String>,
}

/// Asks one tower.
#[derive(Debug)]
pub(crate) struct Client {
    url: String,
    http: reqwest::Client,
}

impl Client {
    /// # Errors
    /// When the machine has no client to offer.
    pub(crate) fn new(url: &str) -> Result<Self, reqwest::Error> {
        let http = reqwest::Client::builder().timeout(ANSWER_WITHIN).build()?;
        Ok(Self { url: url.trim_end_matches('/').to_owned(), http })
    }

    /// How the tower fares now.
    pub(crate) async fn look(&self) -> View {
        let url = self.url.clone();
        match futures::future::try_join(self.get("/v1/status"), self.get("/v1/disputes")).await {
            Ok((status, disputes)) => {
                let disputes = disputes.as_array().cloned().unwrap_or_default();
                View { url, status, disputes, error: None }
            }
            Err(error) => {
                View { url, error: Some(error.without_url().to_string()), ..View::default() }
            }
        }
    }

    async fn get(&self, page: &str) -> Result<Value, reqwest::Error> {
        self.http.get(format!("{}{page}", self.url)).send().await?.error_for_status()?.json().await
    }
}

//! Tells people: log, metrics, webhook.

use std::sync::Arc;
use std::time::Duration;

use metrics::{Label as _, Level, MonitorMetrics};
use serde_json::json;

use super::watch::{Alarm, Judgement};

/// How long a webhook may take.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// How often a webhook is tried: the log and the metrics have it in any case.
const TRIES: u32 = 3;

/// Tells of alarms.
#[derive(Debug)]
pub(crate) struct Teller {
    webhook: Option<String>,
    client: reqwest::Client,
    metrics: Arc<MonitorMetrics>,
}

impl Teller {
    pub(crate) fn new(
        webhook: Option<String>,
        client: reqwest::Client,
        metrics: Arc<MonitorMetrics>,
    ) -> Self {
        Self { webhook, client, metrics }
    }

    /// Tells it everywhere. A webhook that fails is tried again, then given up and counted.
    pub(crate) async fn tell(&self, alarm: &Alarm) {
        self.metrics.monitor.alarms.of(alarm.level).inc();
        let (channel, epoch, level) = (alarm.channel.get(), alarm.epoch, alarm.level.value());
        let (nonce, held, left_s) = (alarm.nonce, alarm.held, alarm.left_s);
        let words = match (alarm.judgement, alarm.level) {
            (Judgement::Stale, Level::Over) => {
                "the window of a stale dispute closed and nobody answered"
            }
            (Judgement::Unknown, Level::Over) => {
                "the window of a dispute closed and nobody answered; whether it was stale is not known"
            }
            (Judgement::Stale, _) => "a stale dispute is not answered",
            (Judgement::Unknown, _) => {
                "a dispute is not answered; whether it is stale is not known"
            }
        };
        match alarm.level {
            Level::Quarter => tracing::warn!(channel, epoch, level, nonce, held, left_s, "{words}"),
            Level::Half | Level::ThreeQuarters | Level::Over => {
                tracing::error!(channel, epoch, level, nonce, held, left_s, "{words}");
            }
        }
        let Some(url) = &self.webhook else { return };
        let body =
            json!({"text": format!("{words}: channel {channel}, {left_s} s left"), "alarm": alarm});
        for attempt in 1..=TRIES {
            let sent = self.client.post(url).timeout(ANSWER_WITHIN).json(&body).send().await;
            match sent.and_then(reqwest::Response::error_for_status) {
                Ok(_taken) => return,
                // Without the address: it may hold a token.
                Err(error) => {
                    tracing::warn!(attempt, error = %error.without_url(), "the webhook was not reached");
                }
            }
        }
        self.metrics.monitor.webhook_failures.inc();
    }
}

//! How the network fares, for people and machines.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::Link;

/// A network that does not say how it fares within this time is reported as one that does not.
const ANSWER_WITHIN: Duration = Duration::from_secs(1);

impl Link {
    /// The section `network` of the status page. Never waits long: a sick network is reported, not waited for.
    pub async fn report(&self) -> Value {
        let asked = tokio::time::timeout(ANSWER_WITHIN, self.handle().status()).await;
        let counts: Map<String, Value> = self
            .handle()
            .counters()
            .each()
            .map(|(name, _, count)| (name.to_owned(), Value::from(count)))
            .collect();
        let alerts: Map<String, Value> =
            self.alerts().each().map(|(name, count)| (name.to_owned(), count.into())).collect();
        let sync: Map<String, Value> =
            self.sync().each().map(|(name, count)| (name.to_owned(), count.into())).collect();
        let peer = self.handle().me().to_string();
        let Ok(Ok(status)) = asked else {
            return json!({"running": false, "peer": peer, "counts": counts, "alerts": alerts, "sync": sync});
        };
        let texts = |places: &[gossip::Place]| -> Vec<String> {
            places.iter().map(ToString::to_string).collect()
        };
        json!({
            "running": true,
            "peer": peer,
            "listening": texts(&status.listening),
            "reachable_at": texts(&status.reachable_at),
            "peers": status.peers,
            "towers": status.towers,
            "towers_known": self.towers.len(),
            "shards": self.replica.kept().len(),
            "mesh_min": status.mesh_min,
            "load": status.load,
            "counts": counts,
            "alerts": alerts,
            "sync": sync,
        })
    }
}

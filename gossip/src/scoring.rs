//! What a peer's conduct costs it on the gossip mesh.
//!
//! Only faults that we can prove to ourselves cost anything: a message that the rules reject, a malformed request, more
//! work than a peer may hand in, a protocol violation that the router counts. Being slow, idle or behind costs nothing
//! that matters: a tower at home stays welcome.
//!
//! | | |
//! |---|---|
//! | P1, P2: time in mesh, first deliveries | a small bonus, capped: it must not buy forgiveness |
//! | P3, P3b: deficit of deliveries | off. Envelopes come when somebody trades, alerts hardly ever: silence is normal, and the penalty would evict honest peers |
//! | P4: rejected messages | squared: a second one hurts, the fifth ends below the graylist line |
//! | P5: conduct outside gossip | [`crate::conduct`] |
//! | P6: many peers on one IP address | squared above `per_ip_max` |
//! | P7: behaviour that the router counts (GRAFT in backoff, broken promises) | squared above a few |

use std::time::Duration;

use libp2p::gossipsub::{
    PeerScoreParams, PeerScoreThresholds, TopicHash, TopicScoreParams, score_parameter_decay,
};
use protocol::network::wire::Topic;

/// Below it, a peer gets no gossip and none is taken from it.
pub(crate) const GOSSIP_LINE: f64 = -500.0;
/// Below it, own messages are not flooded to a peer.
pub(crate) const PUBLISH_LINE: f64 = -1_000.0;
/// Below it, nothing that a peer sends on the mesh is read.
pub(crate) const GRAYLIST_LINE: f64 = -2_500.0;

/// One rejected message costs this much, two four times as much.
const REJECTED_WEIGHT: f64 = -150.0;

/// Rejections are forgotten within this time.
const REJECTED_MEMORY: Duration = Duration::from_secs(3_600);

/// The most that a good topic adds.
const TOPIC_BONUS_MAX: f64 = 10.0;

pub(crate) fn thresholds() -> PeerScoreThresholds {
    PeerScoreThresholds {
        gossip_threshold: GOSSIP_LINE,
        publish_threshold: PUBLISH_LINE,
        graylist_threshold: GRAYLIST_LINE,
        // Peer exchange is off: the router here cannot check signed records.
        accept_px_threshold: 1_000.0,
        opportunistic_graft_threshold: 1.0,
    }
}

pub(crate) fn params(topics: impl Iterator<Item = Topic>, per_ip_max: usize) -> PeerScoreParams {
    let per_ip_max = u32::try_from(per_ip_max.max(1)).unwrap_or(u32::MAX);
    PeerScoreParams {
        topics: topics.map(|topic| (TopicHash::from_raw(topic.to_string()), of(&topic))).collect(),
        topic_score_cap: TOPIC_BONUS_MAX,
        app_specific_weight: 1.0,
        ip_colocation_factor_weight: -100.0,
        ip_colocation_factor_threshold: f64::from(per_ip_max),
        behaviour_penalty_weight: -20.0,
        behaviour_penalty_threshold: 6.0,
        behaviour_penalty_decay: score_parameter_decay(Duration::from_secs(600)),
        decay_interval: Duration::from_secs(1),
        decay_to_zero: 0.01,
        // Leaving and coming back forgives nothing.
        retain_score: Duration::from_secs(3_600),
        // A slow link loses messages, which reconciliation brings; it is no fault.
        slow_peer_weight: 0.0,
        ..PeerScoreParams::default()
    }
}

fn of(topic: &Topic) -> TopicScoreParams {
    // Sixty-four shards must not add up to what one topic gives; penalties have their full weight on each.
    let bonus = match topic {
        Topic::Backups(..) => 0.02,
        Topic::Alerts(_) | Topic::Towers(_) => 0.5,
    };
    TopicScoreParams {
        topic_weight: 1.0,
        time_in_mesh_weight: bonus / 60.0,
        time_in_mesh_quantum: Duration::from_secs(1),
        time_in_mesh_cap: 300.0,
        first_message_deliveries_weight: bonus,
        first_message_deliveries_decay: score_parameter_decay(Duration::from_secs(600)),
        first_message_deliveries_cap: 10.0,
        mesh_message_deliveries_weight: 0.0,
        mesh_failure_penalty_weight: 0.0,
        invalid_message_deliveries_weight: REJECTED_WEIGHT,
        invalid_message_deliveries_decay: score_parameter_decay(REJECTED_MEMORY),
        ..TopicScoreParams::default()
    }
}

#[cfg(test)]
mod tests {
    use protocol::network::ShardSet;

    use super::*;

    fn all() -> PeerScoreParams {
        let domain = protocol::Domain::derive(1, protocol::Address::ZERO);
        params(Topic::of(domain, ShardSet::ALL), 8)
    }

    #[test]
    fn the_library_takes_the_parameters() {
        all().validate().unwrap();
        thresholds().validate().unwrap();
    }

    #[test]
    fn deficits_cost_nothing_on_any_topic() {
        for topic in all().topics.values() {
            assert_eq!(topic.mesh_message_deliveries_weight, 0.0);
            assert_eq!(topic.mesh_failure_penalty_weight, 0.0);
        }
    }

    #[test]
    fn one_rejection_is_forgiven_and_five_are_not_even_after_the_best_conduct() {
        let after = |count: f64| TOPIC_BONUS_MAX + REJECTED_WEIGHT * count * count;
        assert!(after(1.0) > GOSSIP_LINE);
        assert!(after(2.0) < GOSSIP_LINE);
        assert!(after(5.0) < GRAYLIST_LINE);
    }
}

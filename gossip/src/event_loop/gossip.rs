//! Gossip: messages in through the desk, verdicts back to the router, own messages out.

use libp2p::PeerId;
use libp2p::gossipsub::{Event, MessageAcceptance, MessageId, PublishError, TopicHash};
use protocol::network::wire::Topic;

use super::EventLoop;
use crate::conduct::Fault;
use crate::desk::Job;
use crate::handle::ALERTS_MAX;
use crate::intake::{Intake, Verdict};

impl<N: Intake> EventLoop<N> {
    pub(super) fn on_gossip(&mut self, event: Event) {
        let Event::Message { propagation_source: from, message_id, message } = event else {
            return;
        };
        let Ok(topic) = message.topic.as_str().parse() else {
            // The filter lets no other topic through; a message on one is the sender's fault.
            self.report(&message_id, &from, MessageAcceptance::Reject);
            return;
        };
        let job = Job::Gossip { topic, id: message_id, bytes: message.data };
        if let Err(Job::Gossip { id, .. }) = self.desk.take(from, job) {
            self.counters.gossip_turned_away.one();
            self.report(&id, &from, MessageAcceptance::Ignore);
            self.blame(from, Fault::Flood);
        }
    }

    pub(super) fn judged(&mut self, from: PeerId, id: &MessageId, verdict: Verdict, late: bool) {
        if late {
            self.counters.gossip_late.one();
        }
        let (acceptance, counter) = match verdict {
            Verdict::Accept => (MessageAcceptance::Accept, &self.counters.gossip_accepted),
            Verdict::Ignore => (MessageAcceptance::Ignore, &self.counters.gossip_ignored),
            Verdict::Reject => (MessageAcceptance::Reject, &self.counters.gossip_rejected),
        };
        counter.one();
        self.report(id, &from, acceptance);
    }

    /// Gives the router a verdict. It forgets messages after [`VERDICT_WITHIN`](crate::behaviour::VERDICT_WITHIN) and a
    /// little more; a later verdict forwards nothing and costs nobody anything.
    fn report(&mut self, id: &MessageId, from: &PeerId, acceptance: MessageAcceptance) {
        let router = &mut self.swarm.behaviour_mut().gossip;
        if !router.report_message_validation_result(id, from, acceptance) {
            tracing::debug!(%id, "a verdict after the router forgot the message");
        }
    }

    /// Publishes once.
    pub(super) fn publish(&mut self, topic: &Topic, bytes: Vec<u8>) {
        match self.send(topic, bytes) {
            Ok(_) | Err(PublishError::Duplicate) => {}
            Err(error) => {
                tracing::debug!(%topic, %error, "not published");
                self.counters.unpublished.one();
            }
        }
    }

    /// Publishes now, or when somebody is there to hear it.
    pub(super) fn publish_alert(&mut self, topic: Topic, bytes: Vec<u8>) {
        match self.send(&topic, bytes.clone()) {
            Ok(_) | Err(PublishError::Duplicate) => {}
            Err(error) => {
                tracing::debug!(%topic, %error, "an alert waits for somebody to hear it");
                self.unheard.push_back((topic, bytes));
                if self.unheard.len() > ALERTS_MAX {
                    // The oldest has been in the chain for longest; everybody else has read it there.
                    self.unheard.pop_front();
                    self.counters.unpublished.one();
                }
            }
        }
    }

    pub(super) fn retry_alerts(&mut self) {
        for _ in 0..self.unheard.len() {
            let Some((topic, bytes)) = self.unheard.pop_front() else { return };
            self.publish_alert(topic, bytes);
        }
    }

    fn send(&mut self, topic: &Topic, bytes: Vec<u8>) -> Result<MessageId, PublishError> {
        let topic = TopicHash::from_raw(topic.to_string());
        let id = self.swarm.behaviour_mut().gossip.publish(topic, bytes)?;
        self.counters.published.one();
        Ok(id)
    }
}

//! The end of a channel: a dispute is settled after its window, and what is credited comes home.

use chain::calls::Vipe;
use protocol::vnode::exit::Event;
use protocol::{ChannelId, Role};

use super::Driver;
use super::open::step;
use crate::book;
use crate::error::NodeError;
use crate::sender::{Errand, State};

impl Driver {
    /// The channel is over: what is credited comes home.
    pub(super) async fn on_over(&mut self, channel: ChannelId) -> Result<(), NodeError> {
        self.let_go(channel).await?;
        self.forgive_settling(channel).await?;
        if self.exits.contains_key(&channel) {
            self.give_exit(channel, Event::Over).await?;
        }
        let Some(own) = self.book.get(channel) else { return Ok(()) };
        if own.dispute.is_none() {
            // A close by consent claims in its own errand.
            return Ok(());
        }
        let (vipe, account) = (Vipe::new(self.parts.site.vipe), self.parts.keys.account.address());
        if self.parts.role == Role::Participant {
            let claim = vipe.claim_asset(self.parts.site.asset, account);
            let errand =
                Errand::new(format!("collect asset of channel {channel}"), vec![step(claim, true)]);
            self.begin_errand(errand, Vec::new()).await?;
        }
        if own_dispute(self.book.get(channel), account) {
            let claim = vipe.claim_ether(account);
            let errand =
                Errand::new(format!("collect ether of channel {channel}"), vec![step(claim, true)]);
            self.begin_errand(errand, Vec::new()).await?;
        }
        Ok(())
    }

    /// After the deadline the dispute is settled, by whoever is first.
    pub(super) async fn settle(&mut self, channel: ChannelId) -> Result<(), NodeError> {
        let Some(own) = self.book.get(channel) else { return Ok(()) };
        let due = own.dispute.filter(|dispute| {
            own.standing == book::Standing::Disputed && self.chain_s >= dispute.deadline
        });
        let Some(dispute) = due else { return Ok(()) };
        let call = Vipe::new(self.parts.site.vipe).settle(channel);
        // One that was refused although the channel is not over, as of a final block, is sent once more.
        let name = self.free_name(&format!("{}{}", settling(channel), dispute.epoch));
        self.begin_errand(Errand::new(name, vec![step(call, true)]), Vec::new()).await
    }

    /// Somebody else settled first: that is as good, and no failure that a person must look at.
    async fn forgive_settling(&mut self, channel: ChannelId) -> Result<(), NodeError> {
        let prefix = settling(channel);
        let refused: Vec<Errand> = self
            .errands
            .values()
            .filter(|one| one.name.starts_with(&prefix) && matches!(one.state, State::Failed(_)))
            .cloned()
            .collect();
        for errand in refused {
            self.end_errand(Errand { state: State::Done, ..errand }).await?;
        }
        Ok(())
    }
}

fn settling(channel: ChannelId) -> String {
    format!("settle channel {channel} dispute ")
}

fn own_dispute(own: Option<&book::Own>, account: alloy_primitives::Address) -> bool {
    own.and_then(|own| own.dispute).is_some_and(|dispute| dispute.disputer == account)
}

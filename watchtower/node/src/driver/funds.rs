//! What moves money between an account or a pool and a channel, by a person's order.
//!
//! **Invariant:** an order that the chain would take twice is named by its key, and never forgotten.

use alloy_primitives::keccak256;
use chain::calls::{Vip, Vipe};
use protocol::{Amount, ChannelId, Role};
use serde_json::json;

use super::api::Answer;
use super::open::step;
use super::{Driver, show};
use crate::book::Standing;
use crate::error::{ApiError, NodeError};
use crate::sender::Errand;

impl Driver {
    pub(super) async fn fund(
        &mut self,
        channel: Option<ChannelId>,
        amount: Amount,
        key: &str,
    ) -> Result<Answer, NodeError> {
        let channel = match self.live_channel(channel) {
            Ok(channel) => channel,
            Err(error) => return Ok(Err(error)),
        };
        if amount == Amount::ZERO {
            return Ok(Err(ApiError::bad("a deposit is more than nothing")));
        }
        let name = format!("fund channel {channel} key {}", keccak256(key.as_bytes()));
        let deposit = Vipe::new(self.parts.site.vipe).deposit(channel, amount);
        // The vault takes a second deposit as gladly as the first.
        let steps = vec![self.approval(amount), step(deposit, false)];
        let errand = Errand::new(name.clone(), steps).approving();
        match self.errands.get(&name) {
            Some(known) if known.steps != errand.steps => return Ok(Err(other_amount())),
            Some(_) => {}
            None if self.is_being_left(channel) => return Ok(Err(left(channel))),
            None => self.begin_errand(errand, Vec::new()).await?,
        }
        let errand = self.errands.get(&name).map(show::errand);
        Ok(Ok(json!({"channel": channel, "amount": amount, "order": errand})))
    }

    pub(super) async fn allocate(
        &mut self,
        channel: ChannelId,
        amount: Amount,
        key: &str,
    ) -> Result<Answer, NodeError> {
        let (Some(vip), true) = (self.parts.site.vip, self.hub.is_some()) else {
            return Ok(Err(ApiError::role("only a hub has a pool to put capital in from")));
        };
        let name = format!("allocate channel {channel} key {}", keccak256(key.as_bytes()));
        let call = Vip::new(vip).allocate(channel, amount);
        // The pool takes a second allocation as gladly as the first.
        let errand = Errand::new(name.clone(), vec![step(call, false)]);
        if self.errands.get(&name).is_some_and(|known| known.steps != errand.steps) {
            return Ok(Err(other_amount()));
        }
        if !self.errands.contains_key(&name) {
            if amount == Amount::ZERO {
                return Ok(Err(ApiError::bad("an allocation is more than nothing")));
            }
            if !self.is_live(channel) {
                return Ok(Err(ApiError::refused(format!("channel {channel} is not live"))));
            }
            if self.is_being_left(channel) {
                return Ok(Err(left(channel)));
            }
            if !self.can_allocate(amount, &self.accepting()) {
                let idle = self.idle.unwrap_or_default();
                return Ok(Err(ApiError::refused(format!(
                    "the pool has {idle} in its own hands, less what is promised to channels that are being accepted"
                ))));
            }
            self.begin_errand(errand, Vec::new()).await?;
        }
        let errand = self.errands.get(&name).map(show::errand);
        Ok(Ok(json!({"channel": channel, "amount": amount, "order": errand})))
    }

    pub(super) async fn cancel(&mut self, channel: ChannelId) -> Result<Answer, NodeError> {
        let Some(own) = self.book.get(channel) else {
            return Ok(Err(ApiError::missing(format!("this node has no channel {channel}"))));
        };
        let name = format!("cancel channel {channel}");
        let standing = own.standing;
        let is_taken_back = standing == Standing::Cancelled && self.errands.contains_key(&name);
        let may = standing == Standing::Open || is_taken_back;
        if !may || self.parts.role != Role::Participant {
            return Ok(Err(ApiError::refused(format!(
                "channel {channel} does not wait to be accepted"
            ))));
        }
        let (vipe, account) = (Vipe::new(self.parts.site.vipe), self.parts.keys.account.address());
        let claim = step(vipe.claim_asset(self.parts.site.asset, account), true);
        // What is taken back may still have to come home.
        let steps = match standing {
            Standing::Open => vec![step(vipe.cancel(channel), true), claim],
            _ => vec![claim],
        };
        self.begin_again(Errand::new(name.clone(), steps)).await?;
        let order = self.errands.get(&name).map(show::errand);
        Ok(Ok(json!({"channel": channel, "standing": standing, "order": order})))
    }
}

fn other_amount() -> ApiError {
    ApiError::refused("this key was used for another amount")
}

/// What is paid in while a dispute is on its way may be paid out to the other party.
fn left(channel: ChannelId) -> ApiError {
    ApiError::refused(format!(
        "channel {channel} is being left, or signs nothing any more: nothing is paid into it"
    ))
}

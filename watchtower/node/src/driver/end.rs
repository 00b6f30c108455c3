//! The end of a channel: a dispute is settled after its window, and what is credited comes home.

use chain::calls::{Vip, Vipe};
use protocol::vnode::coverage;
use protocol::vnode::exit::{Event, Step};
use protocol::{Amount, ChannelId, Role};

use super::open::step;
use super::{Driver, seconds};
use crate::book;
use crate::error::NodeError;
use crate::sender::{Errand, State};

/// How the names of collections begin.
pub(super) const COLLECT: &str = "collect ";
/// What the vault says when nothing is credited.
const NOTHING: &str = "NothingToClaim";
/// After so many repetitions that is believed.
const NOTHING_TRIES: u32 = 5;
/// The first pause before a collection is begun again, in seconds; it doubles each time.
const AGAIN_FIRST_S: u64 = 30;
/// The longest such pause, in seconds.
const AGAIN_MOST_S: u64 = 3_600;

impl Driver {
    /// The channel is over: what is credited comes home.
    pub(super) async fn on_over(&mut self, channel: ChannelId) -> Result<(), NodeError> {
        if self.exits.get(&channel).is_some_and(|one| one.machine.step() == Step::Over) {
            return Ok(());
        }
        self.let_go(channel).await?;
        self.checks.forget(channel);
        self.forgive_settling(channel).await?;
        let now = self.now();
        let effects = self.coverage.handle(coverage::Event::Over(channel), now);
        self.carry_backups(effects);
        self.parts.towers.over(channel);
        self.collect(channel).await?;
        // Last, because it is what says that all this was done.
        self.give_exit(channel, Event::Over).await
    }

    async fn collect(&mut self, channel: ChannelId) -> Result<(), NodeError> {
        let Some(own) = self.book.get(channel) else { return Ok(()) };
        let (cancelled, dispute) = (own.standing == book::Standing::Cancelled, own.dispute);
        if let Some(pool) = self.parts.site.vip.filter(|_| !cancelled) {
            // What the end pays the hub is credited to its pool, which takes it when it is told to.
            let call = Vip::new(pool).collect();
            let name = format!("collect pool after channel {channel}");
            self.begin_errand(Errand::new(name, vec![step(call, true)]), Vec::new()).await?;
        }
        let Some(own) = self.book.get(channel) else { return Ok(()) };
        if cancelled {
            return self.collect_after(&format!("cancel channel {channel}")).await;
        }
        let Some(dispute) = dispute else {
            let close = format!("close channel {channel} consent {}", own.seq);
            return self.collect_after(&close).await;
        };
        let (vipe, account) = (Vipe::new(self.parts.site.vipe), self.parts.keys.account.address());
        if self.parts.role == Role::Participant {
            let claim = vipe.claim_asset(self.parts.site.asset, account);
            let errand =
                Errand::new(format!("collect asset of channel {channel}"), vec![step(claim, true)]);
            self.begin_errand(errand, Vec::new()).await?;
        }
        // Bond and fee of whoever disputed; a share of what was struck down for the other party, and for whoever struck it down.
        // Of a dispute that an older program wrote down it is not known.
        let was_struck = dispute.claim < dispute.peak || dispute.peak == Amount::ZERO;
        if dispute.disputer != account && !was_struck {
            return Ok(());
        }
        let claim = vipe.claim_ether(account);
        let errand =
            Errand::new(format!("collect ether of channel {channel}"), vec![step(claim, true)]);
        self.begin_errand(errand, Vec::new()).await
    }

    /// Collections that failed are begun again after pauses that grow, until what is credited has come home.
    pub(super) async fn tick_collections(&mut self) -> Result<(), NodeError> {
        let now = seconds();
        let due: Vec<Errand> = self
            .errands
            .range(COLLECT.to_owned()..)
            .map(|(_, one)| one)
            .take_while(|one| one.name.starts_with(COLLECT))
            .filter(|one| one.has_failed())
            .filter(|one| one.ended_s.unwrap_or(0).saturating_add(pause_s(one.tries)) <= now)
            .cloned()
            .collect();
        for errand in due {
            // It came home with another claim: a claim takes everything that is credited. A chain's node that is behind says the
            // same, but not for so long.
            if found_nothing(&errand) && errand.tries >= NOTHING_TRIES {
                self.end_errand(Errand { state: State::Done, ..errand }).await?;
            } else {
                self.begin_again(Errand::new(errand.name, errand.steps)).await?;
            }
        }
        Ok(())
    }

    /// A consent was executed: its own errand brings home what it credits, unless the other party was faster.
    pub(super) async fn collect_after(&mut self, errand: &str) -> Result<(), NodeError> {
        // The names of a consent's errands go on with its deadline.
        let is_of = |name: &str| {
            name.strip_prefix(errand).is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
        };
        let mut named = self
            .errands
            .range(errand.to_owned()..)
            .take_while(|(name, _)| name.starts_with(errand));
        let comes = named.any(|(name, one)| is_of(name) && !one.has_failed());
        if comes || self.parts.role != Role::Participant {
            return Ok(());
        }
        let (vipe, account) = (Vipe::new(self.parts.site.vipe), self.parts.keys.account.address());
        let claim = vipe.claim_asset(self.parts.site.asset, account);
        let name = format!("collect after {errand}");
        self.begin_errand(Errand::new(name, vec![step(claim, true)]), Vec::new()).await
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

/// Whether a collection found nothing: no failure that a person must look at.
pub(super) fn found_nothing(errand: &Errand) -> bool {
    errand.name.starts_with(COLLECT)
        && matches!(&errand.state, State::Failed(why) if why.contains(NOTHING))
}

/// Seconds before a collection that failed so often is begun again.
fn pause_s(tries: u32) -> u64 {
    2_u64.saturating_pow(tries).saturating_mul(AGAIN_FIRST_S).min(AGAIN_MOST_S)
}

fn settling(channel: ChannelId) -> String {
    format!("settle channel {channel} dispute ")
}

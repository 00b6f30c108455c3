//! Errands: begun once under their name, gone on with as the chain moves, kept for people to see.
//!
//! **Invariant:** an errand and the obligation of its step are stored in one turn.
//! **Invariant:** of the errands that set an allowance one is under way at a time.
//! **Invariant:** a deposit is never forgotten: the same key is never paid twice.

use protocol::ChannelId;
use store::{Change, NodeChange, NodeTable};

use super::end::{COLLECT, found_nothing};
use super::{Driver, seconds};
use crate::book::Standing;
use crate::error::NodeError;
use crate::rows;
use crate::sender::{Errand, State, begin};

/// Errands that are tried under further names, or begun again, while their channel is not over.
const AGAIN: [&str; 4] = ["override ", "settle ", "dispute ", "cancel "];

/// Why an errand that waited is not begun.
const WAITED: &str = "it waited behind another approval until there was too little time left: nothing was paid in, order it again";

/// Errands kept for people to see once they have ended.
const ENDED_MAX: usize = 200;

impl Driver {
    /// Begins an errand of a new name, in one turn with `rows`; one that is known stays as it is.
    pub(super) async fn begin_errand(
        &mut self,
        errand: Errand,
        turn: Vec<NodeChange>,
    ) -> Result<(), NodeError> {
        self.put_errand(errand, turn, false).await
    }

    /// The same, but one that failed is begun anew.
    pub(super) async fn begin_again(&mut self, mut errand: Errand) -> Result<(), NodeError> {
        if let Some(before) = self.errands.get(&errand.name) {
            errand.tries = before.tries.saturating_add(1);
        }
        self.put_errand(errand, Vec::new(), true).await
    }

    async fn put_errand(
        &mut self,
        mut errand: Errand,
        mut turn: Vec<NodeChange>,
        again: bool,
    ) -> Result<(), NodeError> {
        if self.errands.get(&errand.name).is_some_and(|before| !again || !before.has_failed()) {
            return if turn.is_empty() { Ok(()) } else { self.store(turn).await };
        }
        if errand.approves && self.is_approving() {
            errand.state = State::Waiting;
        }
        tracing::info!(errand = errand.name, calls = errand.steps.len(), state = ?errand.state, "to the chain");
        turn.extend(self.errand_turn(&errand)?);
        self.store(turn).await?;
        self.errands.insert(errand.name.clone(), errand);
        self.parts.outbox.send_modify(|count| *count = count.wrapping_add(1));
        Ok(())
    }

    fn is_approving(&self) -> bool {
        self.errands.values().any(|one| one.approves && one.state == State::Running)
    }

    fn errand_turn(&self, errand: &Errand) -> Result<Vec<NodeChange>, NodeError> {
        let mut turn = vec![rows::put(NodeTable::Orders, errand_key(&errand.name), errand)?];
        if errand.state == State::Running {
            if let Some(obligation) = errand.obligation(self.parts.gas_price_max) {
                turn.push(NodeChange::Tower(Box::new(begin(obligation)?)));
            }
        } else if errand.has_ended() {
            let done = |name| NodeChange::Tower(Box::new(Change::OutboxDone { name }));
            turn.extend(errand.rows().map(done));
        }
        Ok(turn)
    }

    /// Something was heard of the chain: errands whose call is through go on.
    pub(super) async fn look_at_errands(&mut self) -> Result<(), NodeError> {
        let mut moved = Vec::new();
        for errand in self.errands.values_mut() {
            if errand.look(&self.parts.store)? {
                errand.ended_s = errand.has_ended().then(seconds);
                moved.push(errand.clone());
            }
        }
        for mut errand in moved {
            if self.is_settled_by_another(&errand) {
                errand.state = State::Done;
                self.errands.insert(errand.name.clone(), errand.clone());
            }
            match &errand.state {
                State::Done => tracing::info!(errand = errand.name, "done, final"),
                // Of two parties and all towers that settle a dispute one is the first.
                State::Failed(reason) if errand.name.starts_with("settle ") => {
                    tracing::info!(errand = errand.name, reason, "not settled by this node");
                }
                State::Failed(_) if found_nothing(&errand) => {
                    tracing::info!(errand = errand.name, "nothing is credited");
                }
                State::Failed(reason) => tracing::error!(errand = errand.name, reason, "failed"),
                State::Running | State::Waiting => {}
            }
            let turn = self.errand_turn(&errand)?;
            self.store(turn).await?;
            self.parts.outbox.send_modify(|count| *count = count.wrapping_add(1));
            if matches!(errand.state, State::Failed(_)) {
                self.after_failure(&errand.name).await?;
            }
        }
        self.begin_waiting().await?;
        self.forget_errands().await
    }

    /// Whether this is a settlement that was refused because the channel is over: what was to be done is done. One that is refused
    /// before this node has heard so is forgiven then.
    fn is_settled_by_another(&self, errand: &Errand) -> bool {
        let own = channel_of(&errand.name).and_then(|channel| self.book.get(channel));
        errand.has_failed()
            && errand.name.starts_with("settle ")
            && own.is_some_and(|own| own.standing == Standing::Over)
    }

    /// An errand's outcome is seen differently now.
    pub(super) async fn end_errand(&mut self, errand: Errand) -> Result<(), NodeError> {
        let turn = self.errand_turn(&errand)?;
        self.store(turn).await?;
        self.errands.insert(errand.name.clone(), errand);
        Ok(())
    }

    /// The next of those that wait for an allowance to be used up, if there is enough time left for it.
    async fn begin_waiting(&mut self) -> Result<(), NodeError> {
        while !self.is_approving() {
            let next = self.errands.values_mut().find(|one| one.state == State::Waiting);
            let Some(errand) = next else { return Ok(()) };
            let until = errand.steps.first().and_then(|step| step.deadline);
            if until.is_some_and(|until| self.chain_s > until) {
                (errand.state, errand.ended_s) =
                    (State::Failed(WAITED.to_owned()), Some(seconds()));
                tracing::error!(errand = errand.name, reason = WAITED, "failed");
            } else {
                errand.state = State::Running;
            }
            let errand = errand.clone();
            let turn = self.errand_turn(&errand)?;
            self.store(turn).await?;
            self.parts.outbox.send_modify(|count| *count = count.wrapping_add(1));
        }
        Ok(())
    }

    /// What a failed call means for what it was made for.
    async fn after_failure(&mut self, name: &str) -> Result<(), NodeError> {
        let words: Vec<&str> = name.split(' ').collect();
        let ["override" | "withdraw" | "close" | "cancel", "channel", id, rest @ ..] =
            words.as_slice()
        else {
            return Ok(());
        };
        let Ok(channel) = id.parse::<ChannelId>() else { return Ok(()) };
        let Some(own) = self.book.get(channel) else { return Ok(()) };
        let seq = rest.get(1).and_then(|seq| seq.parse::<u64>().ok());
        let executed = match words.first() {
            Some(&"close") => own.standing == Standing::Over,
            Some(&"cancel") => own.standing == Standing::Cancelled,
            Some(&"withdraw") => seq.is_some_and(|seq| own.seq > seq),
            _ => {
                self.override_again(channel);
                false
            }
        };
        // The other party executed what both had signed, or only the claim after it failed.
        let of = words.get(..5).unwrap_or(&words).join(" ");
        if executed { self.collect_after(&of).await } else { Ok(()) }
    }

    /// Whether an errand that failed may be begun again: then it says which names of obligations were used already.
    fn is_wanted_again(&self, errand: &Errand) -> bool {
        let of = |word: &&str| errand.name.starts_with(*word);
        if !errand.has_failed() {
            return false;
        }
        let own = channel_of(&errand.name).and_then(|channel| self.book.get(channel));
        let is_over =
            own.is_none_or(|own| matches!(own.standing, Standing::Over | Standing::Cancelled));
        of(&COLLECT) || (!is_over && AGAIN.iter().any(of))
    }

    /// What ended stays for people to see, up to a bound; the oldest go first.
    async fn forget_errands(&mut self) -> Result<(), NodeError> {
        // Openings and acceptances say what this disk has witnessed, deposits what was ordered under which key: a deposit
        // that is forgotten would be made again by whoever repeats the order.
        let kept = |name: &str| {
            ["accept ", "open ", "fund ", "allocate "].iter().any(|one| name.starts_with(one))
        };
        let mut over: Vec<(Option<u64>, String)> = self
            .errands
            .values()
            .filter(|one| one.has_ended() && !kept(&one.name) && !self.is_wanted_again(one))
            .map(|one| (one.ended_s, one.name.clone()))
            .collect();
        let excess = over.len().saturating_sub(ENDED_MAX);
        if excess == 0 {
            return Ok(());
        }
        over.sort_unstable();
        over.truncate(excess);
        let turn = over
            .iter()
            .map(|(_, name)| NodeChange::Remove(NodeTable::Orders, errand_key(name)))
            .collect();
        self.store(turn).await?;
        for (_, name) in &over {
            self.errands.remove(name);
        }
        Ok(())
    }
}

/// The channel that an errand's name names.
fn channel_of(name: &str) -> Option<ChannelId> {
    let mut words = name.split(' ').skip_while(|word| *word != "channel").skip(1);
    words.next()?.parse().ok()
}

fn errand_key(name: &str) -> Vec<u8> {
    [b"errand/".as_slice(), name.as_bytes()].concat()
}

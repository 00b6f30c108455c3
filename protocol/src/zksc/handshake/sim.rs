//! Two nodes, a bad network and bad disks, all from one seed; for tests. Feature `testing`.
//!
//! The network loses, repeats and reorders; records become durable late; a node may crash at every single effect, before
//! or after its record became durable, and comes back from its disk. A participant may come back with any record that it
//! ever had. A naive oracle knows only what was asked for: it replays the payments one by one.
//!
//! What is checked all the time: no party ever sends two different signatures for one nonce (nor, having lost its records,
//! signatures of two different states), final states come with nonces one apart, both nodes finalize the same state at
//! each nonce, and the two sides' claims add up to the escrow.
#![allow(clippy::panic, clippy::expect_used, reason = "a broken rule is a failed test")]
#![allow(clippy::missing_panics_doc, reason = "every check of the simulation panics")]

use std::collections::BTreeMap;

pub use dice::Dice;

use super::{
    Config, Counterparty, Effect, Event, Message, Millis, Participant, Pending, Record, Refusal,
};
use crate::{
    hash::Digest,
    ids::Role,
    testing::{Pair, amount, derived, nonce, version},
    zksc::{Change, PaymentId, Salt, State, Transition},
};

mod dice;

/// How bad the world is, in percent of the occasions.
#[derive(Debug, Clone, Copy)]
pub struct Faults {
    /// A message is lost.
    pub lose: u64,
    /// A message is delivered and stays in the network.
    pub repeat: u64,
    /// A node crashes at an effect.
    pub crash: u64,
}

impl Faults {
    /// A world where everything works.
    pub const NONE: Self = Self { lose: 0, repeat: 0, crash: 0 };
}

#[derive(Debug)]
enum Machine {
    Participant(Participant),
    Counterparty(Counterparty),
}

impl Machine {
    fn handle(
        &mut self,
        event: Event,
        now: Millis,
        hedge: &[u8; 32],
    ) -> Result<Vec<Effect>, Refusal> {
        match self {
            Self::Participant(machine) => machine.handle(event, now, hedge),
            Self::Counterparty(machine) => machine.handle(event, now, hedge),
        }
    }

    const fn record(&self) -> &Record {
        match self {
            Self::Participant(machine) => machine.record(),
            Self::Counterparty(machine) => machine.record(),
        }
    }
}

/// What a record holds of signed states: a proposal and an acknowledgement may be forgotten.
fn held(mut record: Record) -> Record {
    if !matches!(record.pending, Pending::Outstanding(..)) {
        record.pending = Pending::None;
    }
    record
}

/// The two nodes and everything between them.
#[derive(Debug)]
pub struct World {
    seed: u64,
    pair: Pair,
    dice: Dice,
    faults: Faults,
    now: Millis,
    machines: BTreeMap<Role, Machine>,
    disks: BTreeMap<Role, Vec<u8>>,
    /// Records on their way to the disk, oldest first.
    writes: BTreeMap<Role, Vec<(u64, Vec<u8>)>>,
    network: Vec<(Role, Vec<u8>)>,
    /// Every signature that left a machine: (who, what for, nonce), the state and the bytes.
    sent: BTreeMap<(Role, &'static str, u64), (State, Vec<u8>)>,
    /// What was finalized at each nonce.
    finalized: BTreeMap<u64, State>,
    /// What the oracle was told: the change that each proposed nonce makes; several where the participant forgot.
    asked: BTreeMap<u64, Vec<Change>>,
    crashes: u64,
    /// Every record that the participant ever had on its disk.
    past: Vec<Vec<u8>>,
    /// How often the participant came back with an older record.
    rollbacks: u64,
}

impl World {
    /// Two new nodes. The first update brings the participant's deposit into the balance.
    #[must_use]
    pub fn new(seed: u64, faults: Faults) -> Self {
        let pair = Pair::new(seed % 4);
        let disks = Role::BOTH.map(|role| (role, Record::new(role, &pair.channel).to_bytes()));
        let mut world = Self {
            seed,
            pair,
            dice: Dice::new(seed),
            faults,
            now: 0,
            machines: BTreeMap::new(),
            disks: disks.into(),
            writes: BTreeMap::new(),
            network: Vec::new(),
            sent: BTreeMap::new(),
            finalized: BTreeMap::new(),
            asked: BTreeMap::new(),
            crashes: 0,
            past: Vec::new(),
            rollbacks: 0,
        };
        Role::BOTH.into_iter().for_each(|role| world.restart(role));
        world
    }

    /// How many states were finalized.
    #[must_use]
    pub fn finalized(&self) -> usize {
        self.finalized.len()
    }

    /// How often a node crashed.
    #[must_use]
    pub const fn crashes(&self) -> u64 {
        self.crashes
    }

    fn fail(&self, what: &str) -> ! {
        panic!("seed {}: {what}", self.seed)
    }

    /// A node comes back from its disk, which got some of the records that were on their way, or none.
    fn restart(&mut self, role: Role) {
        for (_, record) in self.writes.remove(&role).unwrap_or_default() {
            if !self.dice.chance(60) {
                break;
            }
            self.store(role, record);
        }
        let disk = self.disks.get(&role).expect("both have disks");
        let channel = self.pair.channel;
        let record = Record::from_bytes(disk, role, &channel).expect("the disk is sound");
        let (signer, ledger) = (self.pair.signer(role).clone(), self.pair.ledger.clone());
        let config = Config::new(role, amount(1_000_000));
        let (machine, effects) = match role {
            Role::Participant => {
                let resumed =
                    Participant::resume(channel, signer, config, ledger, record, self.now);
                let (machine, effects) = resumed.expect("its own record");
                (Machine::Participant(machine), effects)
            }
            Role::Counterparty => {
                let resumed =
                    Counterparty::resume(channel, signer, config, ledger, record, self.now);
                let (machine, effects) = resumed.expect("its own record");
                (Machine::Counterparty(machine), effects)
            }
        };
        self.machines.insert(role, machine);
        self.carry_out(role, effects);
    }

    fn store(&mut self, role: Role, record: Vec<u8>) {
        if role == Role::Participant {
            self.past.push(record.clone());
        }
        self.disks.insert(role, record);
    }

    /// The participant loses its disk and comes back with any record that it ever had.
    pub fn roll_back(&mut self) {
        let count = u64::try_from(self.past.len()).expect("small");
        let at = usize::try_from(self.dice.below(count)).expect("small");
        let Some(record) = self.past.get(at).cloned() else { return };
        self.rollbacks = self.rollbacks.wrapping_add(1);
        self.writes.remove(&Role::Participant);
        self.disks.insert(Role::Participant, record);
        self.restart(Role::Participant);
    }

    /// Gives one event to one node. False when the node refused it.
    pub fn give(&mut self, role: Role, event: Event) -> bool {
        let (now, hedge) = (self.now, self.dice.hedge());
        let machine = self.machines.get_mut(&role).expect("both run");
        match machine.handle(event, now, &hedge) {
            Ok(effects) => {
                self.carry_out(role, effects);
                true
            }
            Err(_refused) => false,
        }
    }

    /// Carries effects out in order; a crash may come before any of them, and after a record became durable.
    fn carry_out(&mut self, role: Role, effects: Vec<Effect>) {
        for effect in effects {
            if self.dice.chance(self.faults.crash) {
                self.crashes = self.crashes.wrapping_add(1);
                return self.restart(role);
            }
            match effect {
                Effect::Persist { number, record } => {
                    self.writes.entry(role).or_default().push((number, record.to_bytes()));
                }
                Effect::Send(message) => self.send(role, &message),
                Effect::Finalized(state) => self.check_finalized(state.state()),
                Effect::Report(_) => {}
            }
        }
    }

    fn send(&mut self, role: Role, message: &Message) {
        let bytes = message.to_bytes();
        let signed = match message {
            Message::Propose(proposal) => Some(("proposal", proposal.state, bytes.clone())),
            Message::Partial(partial) | Message::Outstanding(_, partial) => {
                Some(("state", partial.state, partial.to_bytes()))
            }
            Message::Final(state) if role == Role::Participant => {
                Some(("state", state.state, state.to_bytes()))
            }
            Message::Final(_) | Message::Ack(_) => None,
        };
        if let Message::Propose(proposal) = message {
            let (at, change) = (proposal.state.nonce.get(), proposal.transition.change);
            self.asked.entry(at).or_default().push(change);
        }
        if let Some((what, state, bytes)) = signed {
            let first = (state, bytes.clone());
            let first = self.sent.entry((role, what, state.nonce.get())).or_insert(first);
            let forgot = role == Role::Participant && self.rollbacks > 0;
            // A proposal is forgotten with a crash: another may be made. Who forgot a state may sign it anew, and no other.
            let again = what == "proposal" && self.crashes > 0;
            let sound = *first == (state, bytes)
                || again
                || forgot && (what == "proposal" || first.0 == state);
            if !sound {
                self.fail(&format!("the {role} signed two things as {what} {}", state.nonce));
            }
        }
        // What was signed is on the disk before anything is sent: otherwise a crash now would make the node sign anew.
        let disk = self.disks.get(&role).expect("both have disks");
        let record = Record::from_bytes(disk, role, &self.pair.channel).expect("a sound disk");
        let machine = self.machines.get(&role).expect("both run");
        if held(record) != held(*machine.record()) {
            self.fail(&format!("the {role} sent before its record was durable"));
        }
        self.network.push((role.other(), bytes));
    }

    fn check_finalized(&mut self, state: &State) {
        let at = state.nonce.get();
        if *self.finalized.entry(at).or_insert(*state) != *state {
            self.fail(&format!("two final states with nonce {at}"));
        }
        let payout = self.pair.ledger.payout(state.version, state.balance).expect("backed");
        let total = payout.participant.get().wrapping_add(payout.vip.get());
        if total != 2 * Pair::SIDE {
            self.fail("money was made or lost");
        }
    }

    /// The participant wishes for a payment of a random size in a random direction.
    pub fn wish(&mut self) {
        let machine = self.machines.get(&Role::Participant).expect("both run");
        let at = machine.record().base().nonce.get().wrapping_add(1);
        let id = PaymentId(derived(self.dice.roll(), "payment").0);
        let size = amount(u128::from(self.dice.below(400_000)).wrapping_add(1));
        let change = match at {
            1 => Change::Rebase,
            _ if self.dice.chance(50) => Change::Debit(size, id),
            _ => Change::Credit(size, id),
        };
        let transition = Transition {
            change,
            version: version(2),
            salt: Salt::new(self.dice.hedge()),
            content: Digest::default(),
        };
        self.give(Role::Participant, Event::Update(transition));
    }

    /// The oldest record on its way becomes durable, and the node hears of it; or it crashes just before that.
    fn write(&mut self, role: Role) {
        let waiting = self.writes.entry(role).or_default();
        if waiting.is_empty() {
            return;
        }
        let (number, record) = waiting.remove(0);
        self.store(role, record);
        if self.dice.chance(self.faults.crash) {
            self.crashes = self.crashes.wrapping_add(1);
            return self.restart(role);
        }
        self.give(role, Event::Persisted(number));
    }

    /// One thing happens: a record becomes durable, a message is delivered, time passes, or somebody wishes for an update.
    pub fn step(&mut self, wishes: bool) {
        match self.dice.below(14) {
            0 | 1 if wishes => self.wish(),
            2 => {
                self.now = self.now.saturating_add(self.dice.below(900));
                Role::BOTH.into_iter().for_each(|role| {
                    self.give(role, Event::Tick);
                });
            }
            3..=5 => self.write(Role::Participant),
            6..=8 => self.write(Role::Counterparty),
            _ => self.deliver(),
        }
    }

    fn deliver(&mut self) {
        let count = u64::try_from(self.network.len()).expect("small");
        if count == 0 {
            return;
        }
        let at = usize::try_from(self.dice.below(count)).expect("small");
        let (to, bytes) = if self.dice.chance(self.faults.repeat) {
            self.network.get(at).cloned().expect("in range")
        } else {
            self.network.swap_remove(at)
        };
        if !self.dice.chance(self.faults.lose) {
            let message = Message::from_bytes(&bytes).expect("what was sent can be read");
            self.give(to, Event::Message(message));
        }
    }

    /// The faults end; after a while both nodes MUST hold the same newest state, with nothing under way.
    pub fn calm_down(&mut self) {
        self.faults = Faults::NONE;
        // A participant that forgot learns of it when it next has something to say.
        if self.rollbacks > 0 {
            for _ in 0..4_000 {
                self.step(false);
            }
            self.wish();
        }
        for _ in 0..4_000 {
            self.step(false);
        }
        let [one, two] =
            Role::BOTH.map(|role| *self.machines.get(&role).expect("both run").record());
        if one.base() != two.base() || one.latest() != two.latest() {
            self.fail("the nodes did not converge");
        }
        if *one.pending() != Pending::None || *two.pending() != Pending::None {
            self.fail(&format!(
                "something is still under way: {:?}, {:?}",
                one.pending, two.pending
            ));
        }
        self.check_against_the_oracle(&one);
    }

    /// Replays what was asked for, one payment after the other, in plain integers.
    fn check_against_the_oracle(&self, record: &Record) {
        let mut balance = 0_u128;
        for (expected, (at, state)) in (1..).zip(&self.finalized) {
            if *at != expected {
                self.fail(&format!("nonce {expected} was skipped"));
            }
            let after = |change: &Change| match change {
                Change::Rebase => Pair::SIDE,
                Change::Debit(size, _) => balance.wrapping_sub(size.get()),
                Change::Credit(size, _) => balance.wrapping_add(size.get()),
            };
            let asked = self.asked.get(at).map(Vec::as_slice).unwrap_or_default();
            if !asked.iter().any(|change| after(change) == state.balance.get()) {
                self.fail(&format!("nobody asked for nonce {at} with balance {}", state.balance));
            }
            balance = state.balance.get();
        }
        let last = self.finalized.keys().last().copied().unwrap_or(0);
        if record.base().nonce != nonce(last) {
            self.fail("the newest state is not the last finalized one");
        }
    }
}

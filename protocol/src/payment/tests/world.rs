//! A hub, its participants, towers and a bad network, all from one seed.
//!
//! What is checked all the time: nobody sends two different signatures for one nonce, and no wallet has more in flight
//! than its bound. At the end: both ends of every channel agree, no money was made or lost, and every payment ended in
//! one state on both sides.

use std::collections::{BTreeMap, BTreeSet};

mod ending;

use crate::{
    ids::{ChannelId, Role},
    payment::{
        FeePolicy, Message,
        hub::{self, Hub, HubPayment, LaneRecord},
        wallet::{self, Stage, Wallet},
    },
    testing::{Pair, account, amount},
    zksc::{
        PaymentId, State,
        handshake::{self, Millis, sim::Dice},
    },
};

/// How bad the world is, in percent of the occasions.
#[derive(Debug, Clone, Copy)]
pub(super) struct Faults {
    pub(super) lose: u64,
    pub(super) repeat: u64,
    pub(super) crash: u64,
    pub(super) offline: u64,
}

impl Faults {
    pub(super) const NONE: Self = Self { lose: 0, repeat: 0, crash: 0, offline: 0 };
}

/// Who runs a machine: the hub, or the participant of a channel.
pub(super) type Who = Option<ChannelId>;

pub(super) struct World {
    seed: u64,
    pub(super) pairs: BTreeMap<ChannelId, Pair>,
    pub(super) dice: Dice,
    pub(super) faults: Faults,
    pub(super) now: Millis,
    pub(super) hub: Hub,
    pub(super) wallets: BTreeMap<ChannelId, Wallet>,
    disks: BTreeMap<Who, Vec<String>>,
    writes: BTreeMap<Who, Vec<(u64, String)>>,
    /// Handshake (true) or payment messages: the channel, whether to the hub, the bytes.
    network: Vec<(ChannelId, bool, bool, Vec<u8>)>,
    towers: Vec<(Who, ChannelId, crate::Nonce)>,
    /// Whose towers say nothing.
    pub(super) silent: BTreeSet<Who>,
    pub(super) offline: BTreeSet<Who>,
    /// Channels that the hub has not seen on the chain yet.
    pub(super) unseen: BTreeSet<ChannelId>,
    signed: BTreeMap<(Who, ChannelId, u64), State>,
    pub(super) crashes: u64,
    /// Every stage that each wallet's payment went through.
    pub(super) trail: BTreeMap<(ChannelId, PaymentId), Vec<Stage>>,
}

pub(super) const MAX_IN_FLIGHT: u128 = 50_000;

pub(super) fn id(value: u64) -> ChannelId {
    ChannelId::try_from(value).unwrap()
}

pub(super) fn pairs(count: u64) -> BTreeMap<ChannelId, Pair> {
    let pair = |at: u64| {
        Pair::with(at, |terms| {
            terms.vipe = account(0, "vipe");
            terms.channel_id = id(at);
            terms.counterparty.account = account(0, "hub");
            terms.asset = account(0, "asset");
        })
    };
    (1..=count).map(|at| (id(at), pair(at))).collect()
}

fn handshake_config(role: Role) -> handshake::Config {
    let config = handshake::Config::new(role, amount(1_000_000));
    handshake::Config { retry_most: 4_000, ..config }
}

fn fee() -> FeePolicy {
    FeePolicy { base: amount(3), millionths: 1_000 }
}

fn hub_of(payments: BTreeMap<PaymentId, HubPayment>) -> Hub {
    let config = hub::Config {
        handshake: handshake_config(Role::Counterparty),
        fee: fee(),
        amount_min: amount(10),
        payer_max: amount(200_000),
        payments_max: 8,
        reserve_for: 30_000,
        hold_for: 40_000,
    };
    Hub::new(config, payments)
}

impl World {
    pub(super) fn new(seed: u64, count: u64, faults: Faults) -> Self {
        let mut world = Self {
            seed,
            pairs: pairs(count),
            dice: Dice::new(seed),
            faults,
            now: 0,
            hub: hub_of(BTreeMap::new()),
            wallets: BTreeMap::new(),
            disks: BTreeMap::new(),
            writes: BTreeMap::new(),
            network: Vec::new(),
            towers: Vec::new(),
            silent: BTreeSet::new(),
            offline: BTreeSet::new(),
            unseen: BTreeSet::new(),
            signed: BTreeMap::new(),
            crashes: 0,
            trail: BTreeMap::new(),
        };
        world.restart(None);
        for channel in world.pairs.keys().copied().collect::<Vec<_>>() {
            world.restart(Some(channel));
        }
        world
    }

    /// A machine comes back from its disk, which got some of the batches that were on their way, or none.
    pub(super) fn restart(&mut self, who: Who) {
        for (_, batch) in self.writes.remove(&who).unwrap_or_default() {
            if !self.dice.chance(60) {
                break;
            }
            self.disks.entry(who).or_default().push(batch);
        }
        match who {
            None => self.restart_hub(),
            Some(channel) => self.restart_wallet(channel),
        }
    }

    /// What is on a machine's disk now.
    pub(super) fn disk(&self, who: Who) -> Vec<String> {
        self.disks.get(&who).cloned().unwrap_or_default()
    }

    /// A machine comes back with an old disk, and nothing that it had said or heard is on its way any more.
    pub(super) fn set_back(&mut self, who: Who, disk: Vec<String>) {
        self.writes.remove(&who);
        self.network.clear();
        self.disks.insert(who, disk);
        self.restart(who);
    }

    fn restart_hub(&mut self) {
        let (mut lanes, mut payments) = (BTreeMap::new(), BTreeMap::new());
        for batch in self.disks.entry(None).or_default() {
            let batch: hub::Batch = serde_json::from_str(batch).unwrap();
            lanes.extend(batch.lanes);
            for (id, payment) in batch.payments {
                match payment {
                    Some(payment) => payments.insert(id, payment),
                    None => payments.remove(&id),
                };
            }
        }
        self.hub = hub_of(payments);
        let mut all = Vec::new();
        for (channel, pair) in self.pairs.iter().filter(|(id, _)| !self.unseen.contains(id)) {
            let record = lanes.remove(channel).map_or_else(
                || LaneRecord::new(&pair.channel),
                |l| l.verify(&pair.channel).unwrap(),
            );
            let (signer, ledger) = (pair.counterparty.clone(), pair.ledger.clone());
            all.extend(
                self.hub.open_lane(&pair.channel, signer, ledger, record, self.now).unwrap(),
            );
        }
        self.carry_out_hub(all);
        self.give_hub(hub::Event::View(Millis::MAX));
    }

    fn restart_wallet(&mut self, channel: ChannelId) {
        let pair = &self.pairs[&channel];
        let mut record = wallet::Record::new(&pair.channel);
        for batch in self.disks.entry(Some(channel)).or_default() {
            let batch: wallet::Batch = serde_json::from_str(batch).unwrap();
            batch.apply(&mut record, &pair.channel).unwrap();
        }
        let config = wallet::Config {
            handshake: handshake_config(Role::Participant),
            max_in_flight: amount(MAX_IN_FLIGHT),
            credit_max: amount(1_000_000),
            fee: fee(),
            owed_after: 20_000,
            payee_wait: 10_000,
        };
        let (signer, ledger) = (pair.participant.clone(), pair.ledger.clone());
        let (machine, effects) =
            Wallet::resume(pair.channel, signer, config, ledger, record, self.now).unwrap();
        self.wallets.insert(channel, machine);
        self.carry_out_wallet(channel, effects);
        self.give_wallet(channel, wallet::Event::View(Millis::MAX));
    }

    fn crash(&mut self, who: Who) -> bool {
        let crashes = self.dice.chance(self.faults.crash);
        if crashes {
            self.crashes += 1;
            self.restart(who);
        }
        crashes
    }

    pub(super) fn give_wallet(&mut self, channel: ChannelId, event: wallet::Event) -> bool {
        let hedge = crate::testing::derived(self.dice.roll(), "hedge").0;
        let machine = self.wallets.get_mut(&channel).unwrap();
        let effects = machine.handle(event, self.now, &hedge);
        assert!(machine.book().in_flight() <= amount(MAX_IN_FLIGHT), "seed {}", self.seed);
        let taken = effects.is_ok();
        self.carry_out_wallet(channel, effects.unwrap_or_default());
        taken
    }

    pub(super) fn give_hub(&mut self, event: hub::Event) -> bool {
        let hedge = crate::testing::derived(self.dice.roll(), "hedge").0;
        let effects = self.hub.handle(event, self.now, &hedge);
        let taken = effects.is_ok();
        self.carry_out_hub(effects.unwrap_or_default());
        taken
    }

    fn carry_out_wallet(&mut self, channel: ChannelId, effects: Vec<wallet::Effect>) {
        for effect in effects {
            if self.crash(Some(channel)) {
                return;
            }
            match effect {
                wallet::Effect::Persist { number, batch } => {
                    let batch = serde_json::to_string(&batch).unwrap();
                    self.writes.entry(Some(channel)).or_default().push((number, batch));
                }
                wallet::Effect::Handshake(message) => {
                    if let handshake::Message::Final(state) = &message {
                        self.check_signed(Some(channel), channel, state.state);
                    }
                    self.network.push((channel, true, true, message.to_bytes()));
                }
                wallet::Effect::Payment(message) => {
                    self.network.push((channel, true, false, message.to_bytes()));
                }
                wallet::Effect::Finalized(state) => {
                    self.towers.push((Some(channel), channel, state.state().nonce));
                }
                wallet::Effect::Changed(id, stage) => {
                    self.trail.entry((channel, id)).or_default().push(stage);
                }
                wallet::Effect::Report(_) => {}
            }
        }
    }

    fn carry_out_hub(&mut self, effects: Vec<hub::Effect>) {
        for effect in effects {
            if self.crash(None) {
                return;
            }
            match effect {
                hub::Effect::Persist { number, batch } => {
                    let batch = serde_json::to_string(&batch).unwrap();
                    self.writes.entry(None).or_default().push((number, batch));
                }
                hub::Effect::Handshake(channel, message) => {
                    if let handshake::Message::Partial(partial)
                    | handshake::Message::Outstanding(_, partial) = &message
                    {
                        self.check_signed(None, channel, partial.state);
                    }
                    self.network.push((channel, false, true, message.to_bytes()));
                }
                hub::Effect::Payment(channel, message) => {
                    self.network.push((channel, false, false, message.to_bytes()));
                }
                hub::Effect::Finalized(channel, state) => {
                    self.towers.push((None, channel, state.state().nonce));
                }
                hub::Effect::Report(..) => {}
            }
        }
    }

    fn check_signed(&mut self, who: Who, channel: ChannelId, state: State) {
        let first = *self.signed.entry((who, channel, state.nonce.get())).or_insert(state);
        assert_eq!(first, state, "seed {}: {who:?} signed two states with one nonce", self.seed);
    }

    /// The oldest batch on its way becomes durable, and the machine hears of it; or it crashes just before that.
    fn write(&mut self, who: Who) {
        let waiting = self.writes.entry(who).or_default();
        if waiting.is_empty() {
            return;
        }
        let (number, batch) = waiting.remove(0);
        self.disks.entry(who).or_default().push(batch);
        if self.crash(who) {
            return;
        }
        match who {
            None => self.give_hub(hub::Event::Persisted(number)),
            Some(channel) => self.give_wallet(channel, wallet::Event::Persisted(number)),
        };
    }

    fn deliver(&mut self) {
        let count = u64::try_from(self.network.len()).unwrap();
        if count == 0 {
            return;
        }
        let at = usize::try_from(self.dice.below(count)).unwrap();
        let (channel, to_hub, is_handshake, bytes) = if self.dice.chance(self.faults.repeat) {
            self.network[at].clone()
        } else {
            self.network.swap_remove(at)
        };
        let away = self.offline.contains(&Some(channel)) || self.offline.contains(&None);
        if away || self.dice.chance(self.faults.lose) {
            return;
        }
        if is_handshake {
            let message = handshake::Message::from_bytes(&bytes).unwrap();
            match to_hub {
                true => self.give_hub(hub::Event::Handshake(channel, message)),
                false => self.give_wallet(channel, wallet::Event::Handshake(message)),
            };
        } else {
            let message = Message::from_bytes(&bytes).unwrap();
            match to_hub {
                true => self.give_hub(hub::Event::Payment(channel, message)),
                false => self.give_wallet(channel, wallet::Event::Payment(message)),
            };
        }
    }

    /// The oldest backup of those whose towers speak is receipted.
    fn hear_tower(&mut self) {
        let at = self.towers.iter().position(|(who, ..)| !self.silent.contains(who));
        let Some((who, channel, nonce)) = at.map(|at| self.towers.remove(at)) else { return };
        match who {
            None => self.give_hub(hub::Event::Protected(channel, nonce)),
            Some(_) => self.give_wallet(channel, wallet::Event::Protected(nonce)),
        };
    }

    /// Everything that was said and not heard is lost.
    pub(super) fn lose_messages(&mut self) {
        self.network.clear();
    }

    fn any(&mut self) -> Who {
        let count = u64::try_from(self.pairs.len()).unwrap() + 1;
        let at = self.dice.below(count);
        (at > 0).then(|| id(at))
    }

    /// One thing happens.
    pub(super) fn step(&mut self) {
        match self.dice.below(20) {
            0 => {
                self.now += self.dice.below(600);
                self.give_hub(hub::Event::Tick);
                for channel in self.pairs.keys().copied().collect::<Vec<_>>() {
                    self.give_wallet(channel, wallet::Event::Tick);
                }
                let who = self.any();
                if self.faults.offline > 0 {
                    let goes = self.dice.chance(self.faults.offline);
                    if !self.offline.remove(&who) && goes {
                        self.offline.insert(who);
                    }
                }
            }
            1..=3 if !self.towers.is_empty() => self.hear_tower(),
            4..=9 => {
                let who = self.any();
                self.write(who);
            }
            _ => self.deliver(),
        }
    }

    pub(super) fn run(&mut self, steps: u64) {
        (0..steps).for_each(|_| self.step());
    }
}

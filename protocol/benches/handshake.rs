//! What an update costs both nodes together, and what sealing and opening its backup cost. No disk and no network, which
//! are the driver's. Measured is the thread's CPU time as Linux accounts for it, so a busy machine does not change it much.
#![allow(clippy::expect_used, clippy::panic, missing_docs, reason = "a benchmark is no library")]

use std::time::Duration;

use criterion::{
    Criterion, criterion_group, criterion_main,
    measurement::{Measurement, ValueFormatter, WallTime},
};
use protocol::{
    Role,
    backup::{UnverifiedEnvelope, open},
    hash::Digest,
    testing::{HEDGE, Pair, amount, version},
    zksc::{
        Change, PaymentId, Salt, Transition, UnverifiedFinal,
        handshake::{Config, Counterparty, Effect, Event, Message, Participant, Record},
    },
};

/// Nanoseconds that the kernel let this thread run.
#[derive(Debug)]
struct CpuTime;

impl Measurement for CpuTime {
    type Intermediate = u64;
    type Value = u64;

    fn start(&self) -> u64 {
        let text = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux");
        text.split(' ').next().and_then(|first| first.parse().ok()).expect("a number")
    }

    fn end(&self, started: u64) -> u64 {
        self.start() - started
    }

    fn add(&self, one: &u64, two: &u64) -> u64 {
        one + two
    }

    fn zero(&self) -> u64 {
        0
    }

    fn to_f64(&self, value: &u64) -> f64 {
        Duration::from_nanos(*value).as_secs_f64() * 1e9
    }

    fn formatter(&self) -> &dyn ValueFormatter {
        static WALL: WallTime = WallTime;
        WALL.formatter()
    }
}

fn transition(change: Change) -> Transition {
    Transition { change, version: version(2), salt: Salt::new([9; 32]), content: Digest::default() }
}

struct Nodes {
    participant: Participant,
    counterparty: Counterparty,
}

/// The one message among the effects, through its encoding as over a wire.
fn sent(effects: &[Effect]) -> Message {
    let bytes = effects.iter().find_map(|effect| match effect {
        Effect::Send(message) => Some(message.to_bytes()),
        _ => None,
    });
    Message::from_bytes(&bytes.expect("a message")).expect("its own encoding")
}

fn number(effects: &[Effect]) -> Event {
    let [Effect::Persist { number, record }] = effects else { panic!("{effects:?}") };
    std::hint::black_box(record.to_bytes());
    Event::Persisted(*number)
}

impl Nodes {
    fn new() -> Self {
        let pair = Pair::new(1);
        let (channel, ledger) = (pair.channel, &pair.ledger);
        let start = |role| (Config::new(role, amount(1_000_000)), Record::new(role, &channel));
        let (config, record) = start(Role::Participant);
        let participant =
            Participant::resume(channel, pair.participant, config, ledger.clone(), record, 0);
        let (config, record) = start(Role::Counterparty);
        let counterparty =
            Counterparty::resume(channel, pair.counterparty, config, ledger.clone(), record, 0);
        let mut nodes = Self {
            participant: participant.expect("its own").0,
            counterparty: counterparty.expect("its own").0,
        };
        nodes.update(transition(Change::Rebase));
        nodes
    }

    fn participant(&mut self, event: Event) -> Vec<Effect> {
        let effects = self.participant.handle(event, 0, &HEDGE).expect("accepted");
        let durable = number(&effects);
        self.participant.handle(durable, 0, &HEDGE).expect("accepted")
    }

    fn counterparty(&mut self, event: Event) -> Vec<Effect> {
        let effects = self.counterparty.handle(event, 0, &HEDGE).expect("accepted");
        let durable = number(&effects);
        self.counterparty.handle(durable, 0, &HEDGE).expect("accepted")
    }

    /// One whole update, every message through its encoding.
    fn update(&mut self, transition: Transition) {
        let proposal = sent(&self.participant(Event::Update(transition)));
        let partial = sent(&self.counterparty(Event::Message(proposal)));
        let state = sent(&self.participant(Event::Message(partial)));
        let ack = sent(&self.counterparty(Event::Message(state)));
        self.participant(Event::Message(ack));
    }
}

fn handshake(criterion: &mut Criterion<CpuTime>) {
    let mut nodes = Nodes::new();
    let mut pay = true;
    criterion.bench_function("handshake, both sides, one update", |bencher| {
        bencher.iter(|| {
            let id = PaymentId([7; 32]);
            let change =
                if pay { Change::Debit(amount(1), id) } else { Change::Credit(amount(1), id) };
            pay = !pay;
            nodes.update(transition(change));
        });
    });
}

fn backup(criterion: &mut Criterion<CpuTime>) {
    let pair = Pair::new(1);
    let state = pair.final_state(5, 77);
    criterion.bench_function("seal", |bencher| {
        bencher.iter(|| pair.seal(Role::Participant, &state));
    });
    let envelope = pair.seal(Role::Participant, &state);
    let bytes = envelope.to_bytes();
    criterion.bench_function("admit", |bencher| {
        bencher.iter(|| {
            let read = UnverifiedEnvelope::from_bytes(&bytes).expect("its own encoding");
            read.admit(&pair.channel).expect("its own")
        });
    });
    criterion.bench_function("open, four signatures checked", |bencher| {
        bencher.iter(|| open(&envelope, &pair.channel, &pair.dispute_key).expect("its own"));
    });
    let bytes = state.to_bytes();
    criterion.bench_function("verify a final state", |bencher| {
        bencher.iter(|| {
            let read = UnverifiedFinal::from_bytes(&bytes).expect("its own encoding");
            read.verify(&pair.channel).expect("its own")
        });
    });
}

criterion_group! {
    name = benches;
    // The kernel's clock ticks every few milliseconds: few and long samples.
    config = Criterion::default()
        .with_measurement(CpuTime)
        .sample_size(10)
        .measurement_time(Duration::from_secs(8));
    targets = handshake, backup
}
criterion_main!(benches);

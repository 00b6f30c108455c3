//! The follower against a chain that reorganises between any two questions, compared with what is on the chain.

use alloy_primitives::{B256, aliases::U56, keccak256};
use alloy_sol_types::SolEvent as _;
use proptest::prelude::*;
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};

use super::*;
use crate::bindings::IVipe;

const VIPE: Address = Address::repeat_byte(0xaa);
const DEPTH: u64 = 6;
const LIMITS: Limits = Limits { reorg_depth: DEPTH, range_blocks_max: 9 };

/// A chain of blocks with logs, of which the last few may be replaced.
struct SimChain {
    blocks: Vec<(Header, Vec<Log>)>,
    salt: u64,
    highest: u64,
}

impl SimChain {
    fn new() -> Self {
        let mut chain = Self { blocks: Vec::new(), salt: 0, highest: 0 };
        chain.mine(0);
        chain
    }

    fn head(&self) -> Header {
        self.blocks.last().unwrap().0
    }

    fn mine(&mut self, logs: u64) {
        self.salt += 1;
        let number = self.blocks.len() as u64;
        let id = BlockId { number, hash: keccak256(self.salt.to_be_bytes()) };
        let parent = self.blocks.last().map_or(B256::ZERO, |(header, _)| header.id.hash);
        let header = Header { id, parent, timestamp: 1_000 + self.salt, base_fee: 1, gas_limit: 1 };
        let logs = (0..logs).map(|index| log(id, index, self.salt * 10 + index)).collect();
        self.blocks.push((header, logs));
        self.highest = self.highest.max(number);
    }

    /// Cuts the chain to `fork` and mines `blocks` others.
    fn reorganise(&mut self, fork: u64, blocks: u64, random: &mut StdRng) {
        self.blocks.truncate(usize::try_from(fork).unwrap() + 1);
        for _ in 0..blocks {
            self.mine(random.gen_range(0..3));
        }
    }

    fn answer(&self, ask: Ask) -> Answer {
        let at = |number: u64| self.blocks.get(usize::try_from(number).unwrap());
        match ask {
            Ask::Head => Answer::Head(Tip { head: self.head(), finalized: None }),
            Ask::Header(number) => Answer::Header(at(number).map(|(header, _)| *header)),
            Ask::LogsOfBlock(block) => Answer::Logs(
                at(block.number)
                    .filter(|(header, _)| header.id == block)
                    .map(|(_, logs)| logs.clone()),
            ),
            Ask::Near { from, to, .. } => Answer::Near(
                (from..=to)
                    .map_while(at)
                    .map(|(header, logs)| NearBlock { header: *header, logs: logs.clone() })
                    .collect(),
            ),
            Ask::Range { from, to, after } => {
                let blocks: Vec<_> = (from..=to).filter_map(at).collect();
                let fits = blocks.first().is_some_and(|(header, _)| header.parent == after);
                Answer::Range(at(to).filter(|_| fits).map(|(anchor, _)| RangeRead {
                    anchor: *anchor,
                    logs: blocks.into_iter().flat_map(|(_, logs)| logs.clone()).collect(),
                }))
            }
        }
    }

    /// What a reader who sees the whole chain at once reads up to `number`.
    fn oracle(&self, number: u64) -> Vec<ChainEvent> {
        self.blocks
            .iter()
            .filter(|(header, _)| header.id.number <= number)
            .flat_map(|(_, logs)| logs)
            .map(|log| events::decode(VIPE, log).unwrap())
            .collect()
    }
}

fn log(block: BlockId, index: u64, channel: u64) -> Log {
    let data = IVipe::Cancelled { channelId: U56::from(channel) }.encode_log_data();
    Log {
        address: VIPE,
        topics: data.topics().to_vec(),
        data: data.data.clone(),
        block,
        transaction: keccak256(channel.to_be_bytes()),
        index,
    }
}

/// A caller that stores its conclusions with the cursor.
struct Reader {
    core: Core,
    stored: String,
    have: Vec<ChainEvent>,
}

impl Reader {
    fn new(chain: &SimChain) -> Self {
        let cursor = Cursor::at(chain.blocks[0].0.id);
        let stored = serde_json::to_string(&cursor).unwrap();
        Self { core: Core::new(VIPE, LIMITS, cursor), stored, have: Vec::new() }
    }

    /// Loses everything but what is stored.
    fn crash(&mut self) {
        self.core = Core::new(VIPE, LIMITS, serde_json::from_str(&self.stored).unwrap());
    }

    /// Stores and applies a batch: what is taken back must be exactly what came last.
    fn store(&mut self, batch: &Batch) {
        for gone in &batch.removed {
            assert_eq!(
                self.have.pop().as_ref(),
                Some(gone),
                "taken back out of order, or never given"
            );
        }
        self.have.extend(batch.added.iter().cloned());
        self.stored = serde_json::to_string(&batch.cursor).unwrap();
    }
}

/// Runs `looks` questions and answers with random trouble between them, then lets the reader finish.
fn run(seed: u64) {
    let mut random = StdRng::seed_from_u64(seed);
    let mut chain = SimChain::new();
    for _ in 0..random.gen_range(0..60) {
        chain.mine(random.gen_range(0..3));
    }
    let mut reader = Reader::new(&chain);
    let mut step = reader.core.begin();
    for look in 0..900 {
        let troubled = look < 600;
        if troubled {
            match random.gen_range(0..20) {
                0..4 => chain.mine(random.gen_range(0..3)),
                4 => {
                    // No block at or below `highest - DEPTH` is ever replaced: that is the stated depth.
                    let head = chain.head().id.number;
                    let fork =
                        random.gen_range(chain.highest.saturating_sub(DEPTH).min(head)..=head);
                    let blocks = random.gen_range(0..=DEPTH + 2);
                    chain.reorganise(fork, blocks, &mut random);
                }
                5 if random.gen_bool(0.3) => {
                    reader.crash();
                    step = reader.core.begin();
                }
                _ => {}
            }
        }
        step = match step {
            Step::Ask(Ask::Range { .. }) if troubled && random.gen_bool(0.2) => {
                reader.core.answer(Answer::RangeRefused).unwrap()
            }
            Step::Ask(ask @ Ask::Near { .. }) if troubled && random.gen_bool(0.2) => {
                // Replaced in the middle of the answer: the rest is of another chain.
                let Answer::Near(mut blocks) = chain.answer(ask) else { panic!("no blocks") };
                let fork = chain.highest.saturating_sub(DEPTH).min(chain.head().id.number);
                chain.reorganise(random.gen_range(fork..=chain.head().id.number), 3, &mut random);
                let Answer::Near(others) = chain.answer(ask) else { panic!("no blocks") };
                let cut = random.gen_range(0..=blocks.len().min(others.len()));
                blocks.splice(cut.., others.into_iter().skip(cut));
                reader.core.answer(Answer::Near(blocks)).unwrap()
            }
            Step::Ask(ask) => reader.core.answer(chain.answer(ask)).unwrap(),
            Step::Again => reader.core.begin(),
            Step::Idle(_) => {
                if !troubled && reader.core.cursor().position() != chain.head().id {
                    // The chain became shorter and stands still: one more block, as every chain gets.
                    chain.reorganise(chain.head().id.number, DEPTH + 3, &mut random);
                }
                reader.core.begin()
            }
            Step::Deliver(batch) => {
                if troubled && random.gen_bool(0.1) {
                    // Crashed before storing: the same comes again.
                    reader.crash();
                } else {
                    reader.store(&batch);
                    if troubled && random.gen_bool(0.1) {
                        // Crashed after storing, before acknowledging.
                        reader.crash();
                    } else {
                        assert!(reader.core.acknowledge());
                    }
                    let position = batch.cursor.position();
                    if chain.blocks.iter().any(|(header, _)| header.id == position) {
                        assert_eq!(reader.have, chain.oracle(position.number), "seed {seed}");
                    }
                }
                reader.core.begin()
            }
        };
    }
    assert_eq!(reader.core.cursor().position(), chain.head().id, "seed {seed}: does not finish");
    assert_eq!(reader.have, chain.oracle(u64::MAX), "seed {seed}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_event_is_delivered_exactly_once_whatever_is_reorganised(seed in any::<u64>()) {
        run(seed);
    }
}

/// Follows `chain` until idle, acknowledging everything.
fn follow(core: &mut Core, chain: &SimChain) -> Result<Vec<Batch>, FollowError> {
    let mut batches = Vec::new();
    let mut step = core.begin();
    for _ in 0..1_000 {
        step = match step {
            Step::Ask(ask) => core.answer(chain.answer(ask))?,
            Step::Again => core.begin(),
            Step::Idle(_) => return Ok(batches),
            Step::Deliver(batch) => {
                batches.push(*batch);
                core.acknowledge();
                core.begin()
            }
        };
    }
    panic!("never idle");
}

fn chain_of(blocks: u64) -> SimChain {
    let mut chain = SimChain::new();
    for _ in 0..blocks {
        chain.mine(1);
    }
    chain
}

#[test]
fn far_behind_it_reads_ranges_and_near_the_head_a_few_blocks_at_once() {
    let chain = chain_of(50);
    let mut core = Core::new(VIPE, LIMITS, Cursor::at(chain.blocks[0].0.id));
    let batches = follow(&mut core, &chain).unwrap();
    let spans: Vec<_> = batches.iter().map(|batch| batch.to - batch.from + 1).collect();
    assert_eq!(spans.iter().sum::<u64>(), 50);
    assert!(spans.iter().take(4).all(|span| *span == LIMITS.range_blocks_max), "{spans:?}");
    assert_eq!(spans.last(), Some(&DEPTH), "{spans:?}");
    // Far more than are read at once, in a chain that may still change: the bound is held.
    let limits = Limits { reorg_depth: 1_000, ..LIMITS };
    let mut core = Core::new(VIPE, limits, Cursor::at(chain.blocks[0].0.id));
    let batches = follow(&mut core, &chain).unwrap();
    let spans: Vec<_> = batches.iter().map(|batch| batch.to - batch.from + 1).collect();
    assert_eq!(spans, [NEAR_BLOCKS_MAX, 50 - NEAR_BLOCKS_MAX]);
    // Each block by itself is remembered, so that a reorganisation of one takes back the events of one.
    assert_eq!(core.cursor().block_at(20), Some(chain.blocks[20].0.id));
}

#[test]
fn a_reorganisation_takes_back_before_it_adds() {
    let mut chain = chain_of(10);
    let mut core = Core::new(VIPE, LIMITS, Cursor::at(chain.blocks[0].0.id));
    follow(&mut core, &chain).unwrap();
    let before = chain.oracle(u64::MAX);
    chain.reorganise(7, 4, &mut StdRng::seed_from_u64(1));
    let batches = follow(&mut core, &chain).unwrap();
    let gone: Vec<_> = before.iter().rev().take(3).cloned().collect();
    assert_eq!(batches[0].removed, gone);
    assert_eq!((batches[0].from, batches[0].to), (8, 10));
    assert!(batches[1..].iter().all(|batch| batch.removed.is_empty()));
}

#[test]
fn a_reorganisation_below_the_stated_depth_stops_it() {
    let mut chain = chain_of(20);
    let mut core = Core::new(VIPE, LIMITS, Cursor::at(chain.blocks[0].0.id));
    follow(&mut core, &chain).unwrap();
    chain.reorganise(20 - DEPTH, 8, &mut StdRng::seed_from_u64(1));
    assert!(follow(&mut core, &chain).is_ok(), "the stated depth itself is followed");
    let head = chain.head().id.number;
    chain.reorganise(head - DEPTH - 1, 9, &mut StdRng::seed_from_u64(1));
    let error = follow(&mut core, &chain).unwrap_err();
    assert!(
        matches!(error, FollowError::ReorgTooDeep { oldest } if oldest.number == head - DEPTH),
        "{error}"
    );
}

#[test]
fn a_node_that_falls_behind_takes_nothing_back() {
    let mut chain = chain_of(10);
    let mut core = Core::new(VIPE, LIMITS, Cursor::at(chain.blocks[0].0.id));
    follow(&mut core, &chain).unwrap();
    chain.blocks.truncate(8);
    assert_eq!(follow(&mut core, &chain).unwrap(), []);
    assert_eq!(core.cursor().position().number, 10);
}

#[test]
fn logs_that_were_not_asked_for_are_refused() {
    // One block behind its logs alone are asked for, further behind they come with the headers.
    let (one, three) = (chain_of(1), chain_of(3));
    let answer = |chain: &SimChain, change: fn(&mut Vec<Log>)| {
        let mut core = Core::new(VIPE, LIMITS, Cursor::at(chain.blocks[0].0.id));
        let mut step = core.begin();
        loop {
            step = match step {
                Step::Ask(ask @ Ask::LogsOfBlock(_)) => {
                    let Answer::Logs(Some(mut logs)) = chain.answer(ask) else { panic!("no logs") };
                    change(&mut logs);
                    return core.answer(Answer::Logs(Some(logs)));
                }
                Step::Ask(ask @ Ask::Near { .. }) => {
                    let Answer::Near(mut blocks) = chain.answer(ask) else { panic!("no blocks") };
                    change(&mut blocks[1].logs);
                    return core.answer(Answer::Near(blocks));
                }
                Step::Ask(ask) => core.answer(chain.answer(ask)).unwrap(),
                other => panic!("{other:?}"),
            };
        }
    };
    for chain in [&one, &three] {
        let answer = |change| answer(chain, change);
        assert!(matches!(answer(|_| {}), Ok(Step::Deliver(_))));
        let repeated = answer(|logs| logs.push(logs[0].clone()));
        assert!(matches!(repeated, Err(FollowError::Inconsistent(_))));
        let elsewhere = answer(|logs| logs[0].block.hash = B256::ZERO);
        assert!(matches!(elsewhere, Err(FollowError::Inconsistent(_))));
        let foreign = answer(|logs| logs[0].address = Address::ZERO);
        assert!(matches!(foreign, Err(FollowError::Decode(_))));
        let garbled = answer(|logs| logs[0].topics[1] = B256::ZERO);
        assert!(matches!(garbled, Err(FollowError::Decode(_))));
    }
}

#[test]
fn a_stored_cursor_that_is_damaged_is_refused() {
    let mut chain = SimChain::new();
    chain.mine(1);
    chain.mine(2);
    let mut core = Core::new(VIPE, LIMITS, Cursor::at(chain.blocks[0].0.id));
    follow(&mut core, &chain).unwrap();
    let good = serde_json::to_value(core.cursor()).unwrap();
    assert!(serde_json::from_value::<Cursor>(good.clone()).is_ok());
    for (pointer, value) in [
        ("/version", serde_json::json!(2)),
        ("/seen", serde_json::json!([])),
        ("/seen/1/id/number", serde_json::json!(7)),
        ("/seen/1/events/0/block/number", serde_json::json!(7)),
    ] {
        let mut bad = good.clone();
        *bad.pointer_mut(pointer).unwrap() = value;
        assert!(serde_json::from_value::<Cursor>(bad).is_err(), "{pointer}");
    }
}

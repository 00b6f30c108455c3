//! What the hooks count.

use chain::fees::Fees;
use chain::submitter::{Attempt, ObligationId, Report};
use metrics::{Outcome, ProofEnd, Purpose as Kind, Queue, Step};
use protocol::{B256, ChannelId, U256};
use store::{DisputeId, JournalRow};

use super::*;
use crate::driver::obligation::{Owner, Purpose};
use crate::driver::submit::Told;

fn dispute() -> DisputeId {
    DisputeId { channel_id: ChannelId::try_from(7).unwrap(), epoch: 1 }
}

fn row(step: &str, at_ms: u64) -> JournalRow {
    JournalRow { at_ms, step: step.to_owned(), ..JournalRow::default() }
}

/// The word of every line that the driver writes, from its sources.
fn words_of_the_driver() -> Vec<String> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/driver");
    let mut words = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "rs") {
            continue;
        }
        let source = std::fs::read_to_string(path).unwrap();
        for call in ["Line::step(", "Line::trouble(", " trouble(", "=> trouble("] {
            for (at, _) in source.match_indices(call) {
                let rest: String = source[at + call.len()..].chars().take(120).collect();
                let Some(word) = rest.split('"').nth(1) else { continue };
                if word.chars().all(|letter| letter.is_ascii_lowercase() || letter == '_') {
                    words.push(word.to_owned());
                }
            }
        }
    }
    words
}

#[test]
fn every_word_of_the_journal_is_counted_under_its_own_name() {
    let words = words_of_the_driver();
    assert!(words.len() > 25, "the sources were not read: {words:?}");
    for word in words {
        assert!(word == "other" || step_of(&word) != Step::Other, "{word} is not a label of steps");
    }
}

#[test]
fn everything_that_the_network_counts_has_a_label() {
    for (name, ..) in gossip::Counters::default().each() {
        assert_ne!(network::event_of(name), Some(metrics::NetworkEvent::Other), "{name}");
    }
    for (name, _) in crate::network::AlertCounts::default().each() {
        assert!(metrics::AlertEvent::named(name).is_some(), "{name}");
    }
    for (name, _) in crate::network::SyncCounts::default().each() {
        assert!(name == "bytes" || metrics::SyncEvent::named(name).is_some(), "{name}");
    }
}

#[test]
fn every_verdict_of_admission_has_a_label() {
    let source = include_str!(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../protocol/src/network/admission/mod.rs"
    ));
    let words: Vec<_> = source
        .lines()
        .filter(|line| line.trim_start().starts_with("Self::"))
        .filter_map(|line| line.split("=> \"").nth(1)?.split('"').next())
        .collect();
    assert!(words.len() > 15, "the source was not read: {words:?}");
    for word in words {
        assert!(metrics::Judgement::named(word).is_some(), "{word}");
    }
}

#[test]
fn steps_become_counts_durations_and_sums() {
    let recorder = Recorder::new().unwrap();
    let metrics = recorder.metrics();
    recorder.step(dispute(), &row("seen", 1_000));
    recorder.step(dispute(), &row("opened", 1_100));
    recorder.step(dispute(), &JournalRow { took_us: Some(2_500_000), ..row("proved", 4_000) });
    recorder.step(dispute(), &row("proof_failed", 4_000));
    let paid = JournalRow { wei: Some(U256::from(5_000_000_000_u64)), ..row("final", 5_000) };
    recorder.step(dispute(), &paid);
    recorder.step(dispute(), &row("won", 6_000));
    let earned = JournalRow { wei: Some(U256::from(9_000_000_000_u64)), ..row("closed", 6_500) };
    recorder.step(dispute(), &earned);
    assert_eq!(metrics.dispute.steps.of(Step::Seen).get(), 1);
    assert_eq!(metrics.prover.proofs.of(ProofEnd::Made).get(), 1);
    assert_eq!(metrics.prover.proofs.of(ProofEnd::Failed).get(), 1);
    assert_eq!(metrics.prover.proof.count(), 1);
    assert_eq!(metrics.dispute.outcomes.of(Outcome::Won).get(), 1);
    assert!((metrics.dispute.spent.get() - 5e9).abs() < 1.0);
    assert!((metrics.dispute.earned.get() - 9e9).abs() < 1.0);
}

#[test]
fn a_second_bid_with_one_nonce_is_a_bump_and_one_with_the_next_nonce_is_not() {
    let recorder = Recorder::new().unwrap();
    let id = ObligationId(B256::repeat_byte(1));
    let owner = Owner { dispute: dispute(), purpose: Purpose::Override { nonce: 3 } };
    let send = |nonce, cancel| {
        let attempt = Attempt {
            hash: B256::ZERO,
            nonce,
            gas_limit: 1,
            fees: Fees { max_fee: 7, priority_fee: 1 },
            cancel,
            signed_ms: 0,
            paid_by: None,
        };
        recorder.told(&Told { owner, id, report: Report::Sending(attempt) });
    };
    send(4, false);
    send(4, false);
    send(5, false);
    send(5, true);
    let submit = &recorder.metrics().submit;
    assert_eq!(submit.bumps.get(), 2);
    assert_eq!(submit.sent.of(Kind::Override).get(), 3);
    assert_eq!(submit.sent.of(Kind::Cancel).get(), 1);
    assert!((submit.bid.get() - 7.0).abs() < f64::EPSILON);
}

#[test]
fn a_queue_is_measured_against_its_bound_also_when_it_is_gone() {
    let recorder = Recorder::new().unwrap();
    let (sender, receiver) = tokio::sync::mpsc::channel::<u8>(4);
    recorder.watch_channel(Queue::Reports, &sender);
    sender.try_send(1).unwrap();
    recorder.scrape_queues();
    let queues = &recorder.metrics().queues;
    let shown =
        || (queues.depth.of(Queue::Reports).get(), queues.capacity.of(Queue::Reports).get());
    assert_eq!(shown(), (1.0, 4.0));
    drop((sender, receiver));
    recorder.scrape_queues();
    assert_eq!(shown(), (0.0, 4.0));
}

#[test]
fn the_window_that_has_passed_is_between_zero_and_one() {
    let cases = [(100, 0.0, 100), (50, 0.0, 150), (150, 0.5, 50), (200, 1.0, 0), (900, 1.0, 0)];
    for (now, part, left) in cases {
        let (found, rest) = window(100, 200, now);
        assert!((found - part).abs() < 1e-9 && rest == left, "at {now}: {found}, {rest}");
    }
}

#[test]
fn a_loop_that_has_just_gone_round_does_not_hang() {
    let recorder = Recorder::new().unwrap();
    assert_eq!(recorder.idle(Task::Node), None);
    recorder.beat(Task::Node);
    assert_eq!(recorder.hangs(), None);
    assert!(recorder.idle(Task::Node).is_some());
}

//! What is simulated. Seeds are fixed; a failure becomes one more of them.
#![allow(clippy::print_stdout, reason = "what it took is printed for the reader of the test")]

use super::*;

const CALM: Faults = Faults { loss: 0, split: 0, wipe: 0, twice: 0 };
const ROUGH: Faults = Faults { loss: 30, split: 20, wipe: 15, twice: 10 };

const BASE: Scenario =
    Scenario { seed: 1, replicas: 5, channels: 12, replication: None, seconds: 30, faults: CALM };

fn run(name: &str, scenario: Scenario) -> (Told, Vec<Replica>) {
    let (told, replicas) = Network::new(scenario).run();
    println!("{name}, seed {}: {told:?}", scenario.seed);
    (told, replicas)
}

#[test]
fn without_faults_gossip_alone_keeps_replicas_equal() {
    let (told, replicas) = run("calm", BASE);
    assert_eq!((told.healed_s, told.healed_bytes), (0, 0));
    assert_eq!(slots(&replicas).len(), 24);
}

#[test]
fn replicas_converge_after_loss_partitions_empty_restarts_and_equivocation() {
    let mut wiped = 0;
    for seed in 1..=6 {
        let scenario = Scenario { seed, replicas: 7, faults: ROUGH, ..BASE };
        let (told, replicas) = run("rough", scenario);
        wiped += told.wiped;
        assert!(told.conflicts > 0, "owners signed twice");
        assert!(slots(&replicas).len() >= 20);
        assert!(told.healed_s <= 120, "{told:?}");
    }
    assert!(wiped > 6, "the faults are real: {wiped} restarts");
}

#[test]
fn replicas_converge_when_gossip_carries_nothing_at_all() {
    let faults = Faults { loss: 100, ..CALM };
    let (told, replicas) = run("deaf", Scenario { seed: 11, faults, ..BASE });
    assert!(told.healed_s > 0);
    assert_eq!(slots(&replicas).len(), 24);
}

#[test]
fn replicas_of_shards_converge_to_what_each_keeps() {
    for seed in 21..=22 {
        let scenario = Scenario {
            seed,
            replicas: 8,
            channels: 24,
            replication: Some(3),
            faults: Faults { wipe: 0, ..ROUGH },
            ..BASE
        };
        let (_, replicas) = run("shards", scenario);
        let held: usize = replicas.iter().map(|replica| replica.store.len()).sum();
        assert!(held <= slots(&replicas).len() * 3, "each slot three times at most");
    }
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let scenario = Scenario { seed: 31, seconds: 10, faults: ROUGH, ..BASE };
    assert_eq!(run("first", scenario).0, run("second", scenario).0);
}

#[test]
fn owners_that_sign_twice_leave_one_winner_everywhere() {
    let faults = Faults { twice: 100, loss: 20, ..CALM };
    let (told, replicas) = run("twice", Scenario { seed: 41, faults, ..BASE });
    assert!(told.conflicts > 0);
    assert!(replicas.windows(2).all(|pair| pair[0].ids() == pair[1].ids()));
}

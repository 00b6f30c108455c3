//! The queue with real jobs, and one real proof.

use std::time::Duration;

use plonky2::field::types::Field;
use protocol::Address;
use protocol::testing::Pair;

use super::*;
use crate::config::F;
use crate::zksc::NotLive;

fn live(seed: u64) -> LiveState {
    let pair = Pair::new(seed);
    LiveState::new(&pair.final_state(seed + 1, 5), &pair.channel, Address::repeat_byte(7))
}

fn job(seed: u64, seconds: u64) -> ProofJob {
    ProofJob { live: live(seed), deadline: Instant::now() + Duration::from_secs(seconds) }
}

/// A service whose worker does not run: what is submitted stays in the queue.
fn idle(capacity: usize) -> Shared {
    Shared { queue: Mutex::default(), changed: Condvar::new(), capacity }
}

fn idle_service(capacity: usize, circuit: &Arc<LiveStateCircuit>) -> ProverService {
    ProverService { shared: Arc::new(idle(capacity)), circuit: Arc::clone(circuit), worker: None }
}

/// One test, so that the circuit is built once.
#[test]
fn the_service_proves_by_deadline_within_bounds_and_survives_panics() {
    let circuit = Arc::new(LiveStateCircuit::build().unwrap());
    the_earliest_deadline_is_next(&circuit);
    a_full_queue_refuses_and_a_dropped_future_makes_room(&circuit);
    stopping_answers_every_job(&circuit);
    a_panic_becomes_an_error();
    a_proof_is_made_and_verifies(&circuit);
}

fn the_earliest_deadline_is_next(circuit: &Arc<LiveStateCircuit>) {
    let service = idle_service(8, circuit);
    let receivers: Vec<_> = [(1, 30), (2, 10), (3, 20), (4, 10)]
        .map(|(seed, seconds)| service.submit(job(seed, seconds)).unwrap())
        .into_iter()
        .collect();
    assert_eq!(service.waiting(), 4);
    drop(receivers);
    assert_eq!(service.waiting(), 0, "nobody waits for any of them");
    let service = idle_service(8, circuit);
    let _receivers: Vec<_> = [(1, 30), (2, 10), (3, 20)]
        .map(|(seed, seconds)| service.submit(job(seed, seconds)).unwrap())
        .into_iter()
        .collect();
    let order: Vec<_> = (0..3).map(|_| service.shared.next().unwrap().live).collect();
    assert_eq!(order, [live(2), live(3), live(1)]);
}

fn a_full_queue_refuses_and_a_dropped_future_makes_room(circuit: &Arc<LiveStateCircuit>) {
    let service = idle_service(2, circuit);
    let first = service.submit(job(1, 1)).unwrap();
    let _second = service.submit(job(2, 2)).unwrap();
    assert!(matches!(service.submit(job(3, 3)), Err(ProveError::QueueFull { capacity: 2 })));
    assert_eq!(service.waiting(), 2);
    drop(first);
    assert_eq!(service.waiting(), 1, "nobody waits for the first one any more");
    let _third = service.submit(job(3, 3)).unwrap();
    assert_eq!(service.shared.next().unwrap().live, live(2));
    // What cannot be proven does not take a place.
    let mut wrong = job(4, 4);
    wrong.live.beneficiary[2] = F::from_canonical_u64(1 << 50);
    assert!(matches!(
        service.submit(wrong),
        Err(ProveError::NotLive(NotLive::OutOfRange { element: 10 }))
    ));
}

fn stopping_answers_every_job(circuit: &Arc<LiveStateCircuit>) {
    let service = idle_service(2, circuit);
    let waiting = service.submit(job(1, 1)).unwrap();
    service.stop();
    assert!(matches!(waiting.blocking_recv(), Ok(Err(ProveError::Cancelled))));
    assert!(matches!(service.submit(job(1, 1)), Err(ProveError::Cancelled)));
    assert!(service.shared.next().is_none());
}

fn a_panic_becomes_an_error() {
    let panicked = caught::<()>(|| panic!("Quotient has failed"));
    assert!(
        matches!(panicked, Err(ProveError::Panicked { message }) if message == "Quotient has failed")
    );
    let number = 5;
    let panicked = caught::<()>(|| panic!("row {number}"));
    assert!(matches!(panicked, Err(ProveError::Panicked { message }) if message == "row 5"));
}

fn a_proof_is_made_and_verifies(circuit: &Arc<LiveStateCircuit>) {
    let config =
        ProverConfig { threads: NonZeroUsize::new(2).unwrap(), queue_capacity: QUEUE_CAPACITY };
    let service = ProverService::start(Arc::clone(circuit), config).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let proof = runtime.block_on(service.prove(job(11, 60))).unwrap();
    assert_eq!(proof.statement, live(11).check().unwrap());
    service.circuit().verify(&proof).unwrap();
    // Another statement, and a changed, missing or added byte, are refused.
    let mut other = proof.clone();
    other.statement[4] += F::ONE;
    assert!(service.circuit().verify(&other).is_err());
    for change in [0, proof.bytes.len() / 2, proof.bytes.len() - 1] {
        let mut other = proof.clone();
        other.bytes[change] ^= 1;
        assert!(service.circuit().verify(&other).is_err(), "byte {change}");
    }
    let mut other = proof.clone();
    other.bytes.push(0);
    assert!(service.circuit().verify(&other).is_err());
    other.bytes.truncate(proof.bytes.len() - 1);
    assert!(service.circuit().verify(&other).is_err());
}

//! Gossip: what one tower is handed, every tower gets.

use std::time::Instant;

use k256::ecdsa::SigningKey;
use protocol::network::wire::{Alert, SignedAlert};
use protocol::testing::{amount, nonce};
use protocol::{Address, B256};
use std::sync::atomic::Ordering;

use crate::world::{Setup, Tower, domain, envelope, memory, slot, until};

async fn two_towers_share(listen: [String; 2]) {
    let [first, second] = listen;
    let a = Tower::start(Setup::new(0, &first), &[]).await;
    let b = Tower::start(Setup::new(1, &second), std::slice::from_ref(&a.place)).await;
    a.meshes(1).await;
    let sent = envelope(1, 5);
    let start = Instant::now();
    b.handle.submit(a.handle.me(), &sent, 0).await.unwrap();
    b.holds(&sent).await;
    println!("{first}: submitted to one tower, held by the other after {:?}", start.elapsed());
    assert!(a.desk.held(slot(1)).is_some());
    a.stop().await;
    b.stop().await;
}

#[tokio::test]
async fn an_envelope_handed_to_one_tower_reaches_the_other_in_process() {
    two_towers_share([memory(), memory()]).await;
}

#[tokio::test]
async fn an_envelope_handed_to_one_tower_reaches_the_other_over_tcp() {
    two_towers_share(["/ip4/127.0.0.1/tcp/0".to_owned(), "/ip4/127.0.0.1/tcp/0".to_owned()]).await;
}

#[tokio::test]
async fn an_envelope_handed_to_one_tower_reaches_the_other_over_quic() {
    let quic = || "/ip4/127.0.0.1/udp/0/quic-v1".to_owned();
    two_towers_share([quic(), quic()]).await;
}

#[tokio::test]
async fn towers_find_each_other_through_one_bootstrap_peer_and_go_on_without_it() {
    let tcp = "/ip4/127.0.0.1/tcp/0";
    let first = Tower::start(Setup::new(0, tcp), &[]).await;
    let bootstrap = [first.place.clone()];
    let mut towers = Vec::new();
    for number in 1..5 {
        towers.push(Tower::start(Setup::new(number, tcp), &bootstrap).await);
    }
    for tower in &towers {
        tower.meets(3).await;
    }
    first.stop().await;
    for tower in &towers {
        tower.meets(3).await;
        tower.meshes(2).await;
    }
    let sent = envelope(2, 9);
    towers[0].handle.submit(towers[1].handle.me(), &sent, 0).await.unwrap();
    for tower in &towers {
        tower.holds(&sent).await;
    }
    for tower in towers {
        tower.stop().await;
    }
}

#[tokio::test]
async fn a_tower_that_comes_back_finds_its_peers_in_the_address_book() {
    use std::sync::OnceLock;
    static BOOK: OnceLock<tempfile::TempDir> = OnceLock::new();
    BOOK.get_or_init(|| tempfile::tempdir().unwrap());
    let with_book = |number| {
        let mut setup = Setup::new(number, "/ip4/127.0.0.1/tcp/0");
        setup.change = |config| config.book = BOOK.get().map(|dir| dir.path().join("peers.txt"));
        setup
    };
    let stays = Tower::start(Setup::new(0, "/ip4/127.0.0.1/tcp/0"), &[]).await;
    let leaves = Tower::start(with_book(1), std::slice::from_ref(&stays.place)).await;
    leaves.meets(1).await;
    leaves.stop().await;
    let back = Tower::start(with_book(1), &[]).await;
    back.meets(1).await;
    back.stop().await;
    stays.stop().await;
}

pub(crate) fn alert(seed: u8, epoch: u64) -> SignedAlert {
    let key = SigningKey::from_slice(&[seed; 32]).unwrap();
    let alert = Alert {
        domain: domain(),
        channel_id: slot(1).channel_id,
        epoch,
        nonce: nonce(3),
        claim: amount(5),
        deadline: crate::intake::now_s() + 1_000,
        block_number: 7,
        block_hash: B256::ZERO,
        transaction: B256::ZERO,
        tower: Address::from_private_key(&key),
        issued_at: crate::intake::now_s(),
    };
    let (signature, recovery) =
        key.sign_prehash_recoverable(alert.signing_hash().as_slice()).unwrap();
    alert.signed(&(signature, recovery).into()).unwrap()
}

#[tokio::test]
async fn an_alert_that_nobody_hears_yet_reaches_the_tower_that_comes_later() {
    let a = Tower::start(Setup::new(0, &memory()), &[]).await;
    a.handle.alert(&alert(9, 1)).unwrap();
    let b = Tower::start(Setup::new(1, &memory()), std::slice::from_ref(&a.place)).await;
    until("the alert arrives", || async { b.desk.alerts.load(Ordering::Relaxed) == 1 }).await;
    a.stop().await;
    b.stop().await;
}

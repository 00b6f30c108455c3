//! A tower that nobody outside can dial: it joins by its own dials, and is reached through another tower.

use gossip::{Place, Reachable, Submitted};

use crate::world::{Setup, Tower, domain, envelope, memory, slot, until};

/// A tower that is reachable and carries others' connections.
fn carrier(number: u8) -> Setup {
    let mut setup = Setup::new(number, &memory());
    setup.change = |config| config.relay_server = true;
    setup
}

/// A tower that does not know whether anybody can dial it, and tells nobody where it listens.
fn home(number: u8) -> Setup {
    let mut setup = Setup::new(number, &memory());
    setup.change = |config| config.reachable = Reachable::Ask;
    setup
}

/// Where it is reached through a relay, once it is.
async fn relayed(tower: &Tower) -> Place {
    let found = || async {
        let listening = tower.handle.status().await.unwrap().listening;
        listening.into_iter().find(|place| place.to_string().contains("p2p-circuit"))
    };
    until("it listens through a relay", || async { found().await.is_some() }).await;
    found().await.unwrap()
}

#[tokio::test]
async fn a_tower_at_home_joins_by_its_own_dials_and_takes_backups_through_a_relay() {
    let relay = Tower::start(carrier(0), &[]).await;
    let at_home = Tower::start(home(1), std::slice::from_ref(&relay.place)).await;
    at_home.meshes(1).await;
    // What another tower is handed reaches it.
    let sent = envelope(1, 5);
    at_home.handle.submit(relay.handle.me(), &sent, 0).await.unwrap();
    at_home.holds(&sent).await;

    // Somebody who knows nothing but the address through the relay hands it a backup and fetches it back.
    let place = relayed(&at_home).await;
    let stranger = Tower::start(home(2), &[]).await;
    stranger.handle.dial(place.with_peer(at_home.handle.me())).unwrap();
    until("they meet", || async {
        let peers = stranger.handle.peers().await.unwrap();
        peers.iter().any(|info| info.peer == at_home.handle.me())
    })
    .await;
    let own = envelope(2, 7);
    let answer = stranger.handle.submit(at_home.handle.me(), &own, 0).await.unwrap();
    assert!(matches!(answer, Submitted::Receipt(_)), "{answer:?}");
    let fetched = stranger.handle.fetch(at_home.handle.me(), domain(), slot(2)).await;
    assert_eq!(fetched.unwrap().unwrap().as_bytes().as_slice(), own.to_bytes());
    // And what it is handed reaches others.
    relay.holds(&own).await;
    for tower in [stranger, at_home, relay] {
        tower.stop().await;
    }
}

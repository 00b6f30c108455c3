//! Links between the nodes of a channel, over real sockets.

use std::time::Duration;

use gossip::link::{LinkConfig, LinkError, LinkEvent, LinkHandle, open};
use gossip::{Identity, Place};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

struct End {
    handle: LinkHandle,
    events: mpsc::Receiver<LinkEvent>,
    stop: CancellationToken,
}

impl End {
    fn start(seed: u8, listen: &[&str]) -> Self {
        let identity = Identity::from_secret(&[seed; 32]).unwrap();
        let listen = listen.iter().map(|place| place.parse().unwrap()).collect();
        let config = LinkConfig { listen, ..LinkConfig::default() };
        let (handle, events, running) = open(&config, &identity).unwrap();
        let stop = CancellationToken::new();
        #[expect(clippy::disallowed_methods, reason = "a test has no Tasks")]
        tokio::spawn(running.run(stop.clone()));
        Self { handle, events, stop }
    }

    async fn place(&self) -> Place {
        let mut places = self.handle.places();
        places.wait_for(|places| !places.is_empty()).await.unwrap();
        let listed = places.borrow();
        listed[0].clone()
    }

    async fn next(&mut self) -> LinkEvent {
        tokio::time::timeout(Duration::from_secs(20), self.events.recv()).await.unwrap().unwrap()
    }
}

async fn frames_arrive_in_order(listen: &str) -> (End, End, Place) {
    let mut hub = End::start(1, &[listen]);
    let mut node = End::start(2, &[]);
    let place = hub.place().await;
    assert_eq!(place.peer(), Some(hub.handle.me()), "the place names its peer");
    node.handle.keep(place.clone()).unwrap();
    assert_eq!(hub.next().await, LinkEvent::Up(node.handle.me()));
    assert_eq!(node.next().await, LinkEvent::Up(hub.handle.me()));
    for number in 0..500_u32 {
        node.handle.send(hub.handle.me(), number.to_be_bytes().to_vec()).unwrap();
        hub.handle.send(node.handle.me(), number.to_le_bytes().to_vec()).unwrap();
    }
    for number in 0..500_u32 {
        let (to_hub, to_node) = (number.to_be_bytes().to_vec(), number.to_le_bytes().to_vec());
        assert_eq!(hub.next().await, LinkEvent::Frame(node.handle.me(), to_hub));
        assert_eq!(node.next().await, LinkEvent::Frame(hub.handle.me(), to_node));
    }
    (hub, node, place)
}

#[tokio::test(flavor = "multi_thread")]
async fn frames_of_a_channel_arrive_in_order_over_quic() {
    frames_arrive_in_order("/ip4/127.0.0.1/udp/0/quic-v1").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hub_that_comes_back_at_its_place_is_found_again() {
    let (hub, mut node, place) = frames_arrive_in_order("/ip4/127.0.0.1/tcp/0").await;
    hub.stop.cancel();
    assert_eq!(node.next().await, LinkEvent::Down(hub.handle.me()));
    let bare = place.to_string();
    let (bare, _peer) = bare.split_once("/p2p/").unwrap();
    let mut hub = End::start(1, &[bare]);
    assert_eq!(node.next().await, LinkEvent::Up(hub.handle.me()));
    node.handle.send(hub.handle.me(), vec![7]).unwrap();
    assert_eq!(hub.next().await, LinkEvent::Up(node.handle.me()));
    assert_eq!(hub.next().await, LinkEvent::Frame(node.handle.me(), vec![7]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_reads_nothing_holds_its_peer_back_and_loses_nothing_that_was_answered() {
    let mut hub = End::start(3, &["/ip4/127.0.0.1/tcp/0"]);
    let mut node = End::start(4, &[]);
    node.handle.keep(hub.place().await).unwrap();
    node.next().await;
    for number in 0..1_000_u32 {
        node.handle.send(hub.handle.me(), number.to_be_bytes().to_vec()).unwrap();
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(hub.next().await, LinkEvent::Up(node.handle.me()));
    for number in 0..1_000_u32 {
        let frame = number.to_be_bytes().to_vec();
        assert_eq!(hub.next().await, LinkEvent::Frame(node.handle.me(), frame));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_sent_is_said_at_once() {
    let node = End::start(5, &[]);
    let nobody: Place = "/ip4/127.0.0.1/tcp/9".parse().unwrap();
    assert_eq!(node.handle.keep(nobody), Err(LinkError::NoPeer));
    let long = vec![0; gossip::link::REQUEST_MAX];
    assert!(matches!(node.handle.send(node.handle.me(), long), Err(LinkError::TooLong(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_is_let_go_is_gone_at_both_ends_and_may_come_again() {
    let mut hub = End::start(6, &["/ip4/127.0.0.1/tcp/0"]);
    let mut node = End::start(7, &[]);
    node.handle.keep(hub.place().await).unwrap();
    assert_eq!(hub.next().await, LinkEvent::Up(node.handle.me()));
    assert_eq!(node.next().await, LinkEvent::Up(hub.handle.me()));
    hub.handle.leave(node.handle.me()).unwrap();
    assert_eq!(hub.next().await, LinkEvent::Down(node.handle.me()));
    assert_eq!(node.next().await, LinkEvent::Down(hub.handle.me()));
    assert_eq!(node.next().await, LinkEvent::Up(hub.handle.me()), "it dials whom it keeps");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_announced_address_is_shown_first_with_the_peers_name() {
    let identity = Identity::from_secret(&[8; 32]).unwrap();
    let announce = vec!["/dns4/hub.example/tcp/4001".parse().unwrap()];
    let config = LinkConfig { announce, ..LinkConfig::default() };
    let (handle, _events, _running) = open(&config, &identity).unwrap();
    let shown = handle.places().borrow()[0].to_string();
    assert_eq!(shown, format!("/dns4/hub.example/tcp/4001/p2p/{}", identity.peer()));
}

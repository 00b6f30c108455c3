//! Towers that are connected to each other: real ones, over TCP on this machine.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use alloy_primitives::Bytes;
use chain::account::Account;
use gossip::{Config, Handle, Identity, Network, Peer, Place, Submitted, TakesNothing};
use protocol::backup::Envelope;
use protocol::network::wire::{BackupRequest, BackupResponse, Refusal, UnverifiedAnnouncement};
use protocol::network::{Shard, Slot};
use protocol::testing::Pair;
use protocol::{Address, Domain, Role};
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use watchtower::service::Tower;

use crate::world::{Running, WINDOW_S, World};

/// Waits until a tower serves this very envelope.
async fn holds(tower: &Running, envelope: &Envelope) {
    let header = envelope.header();
    let path = format!("/v1/backups/{}/{}", header.channel_id, header.role);
    let wanted = Bytes::from(envelope.to_bytes());
    tower
        .wait(&path, 30, |_, served| {
            serde_json::from_value::<Bytes>(served["envelope"].clone()).is_ok_and(|is| is == wanted)
        })
        .await;
}

pub(crate) fn domain(world: &World) -> Domain {
    Domain::derive(crate::world::CHAIN_ID, world.vipe.address)
}

fn sealed(pair: &Pair, nonce: u64) -> Envelope {
    pair.seal(Role::Participant, &pair.final_state(nonce, 500))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_handed_to_one_tower_reaches_the_others_and_one_that_was_away_reconciles() {
    let world = World::start(60).await;
    let pair = world.open(31).await;
    let first = world.start_member(0, "").await;
    let place = first.place().await;
    let second = world.start_member(1, &place).await;
    first.met(1).await;
    second.met(1).await;
    for tower in [&first, &second] {
        tower.caught_up(&world).await;
    }
    // By gossip, both ways.
    let one = sealed(&pair, 7);
    assert_eq!(first.back_up(&one.to_bytes()).await.0, 200);
    holds(&second, &one).await;
    let two = sealed(&pair, 8);
    assert_eq!(second.back_up(&two.to_bytes()).await.0, 200);
    holds(&first, &two).await;

    // Two that were not there when it was gossiped: by reconciliation, the second of them with an old envelope.
    second.stop().await.unwrap();
    let three = sealed(&pair, 9);
    assert_eq!(first.back_up(&three.to_bytes()).await.0, 200);
    let second = world.start_member(1, &place).await;
    let third = world.start_member(2, &place).await;
    for tower in [&second, &third] {
        tower.caught_up(&world).await;
        holds(tower, &three).await;
    }
    let status = third.get("/v1/status").await.1;
    let sync = &status["network"]["sync"];
    assert!(sync["taken"].as_u64() >= Some(1), "{status:#}");
    assert_eq!(sync["faults"], 0, "{status:#}");
    assert_eq!(status["backups"]["slots"], 1, "{status:#}");
    for tower in [first, second, third] {
        tower.stop().await.unwrap();
    }
}

/// A node that is connected to the tower at `place`.
async fn node(world: &World, place: &str) -> (Handle, Peer, CancellationToken) {
    node_as(world, place, &Identity::ephemeral()).await
}

/// The same, under this name.
pub(crate) async fn node_as(
    world: &World,
    place: &str,
    identity: &Identity,
) -> (Handle, Peer, CancellationToken) {
    let place: Place = place.parse().unwrap();
    let tower = place.peer().unwrap();
    let mut config = Config::new(domain(world));
    config.bootstrap = vec![place];
    let (handle, network) = Network::open(config, identity, Arc::new(TakesNothing)).unwrap();
    let stop = CancellationToken::new();
    #[expect(clippy::disallowed_methods, reason = "the harness is not the program")]
    tokio::spawn(network.run(stop.clone()));
    for _ in 0..200 {
        if handle.towers().contains(&tower) {
            return (handle, tower, stop);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the tower was never met");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_submits_gets_a_receipt_asks_for_it_again_and_fetches_its_backup_back() {
    let world = World::start(60).await;
    let pair = world.open(32).await;
    let tower = world.start_member(0, "").await;
    tower.caught_up(&world).await;
    let (handle, peer, stop) = node(&world, &tower.place().await).await;
    let envelope = sealed(&pair, 5);
    let slot = Slot { channel_id: pair.channel.id(), role: Role::Participant };
    let domain = domain(&world);

    assert_eq!(handle.fetch(peer, domain, slot).await.unwrap(), None);
    let submitted = handle.submit(peer, &envelope, 0).await.unwrap();
    let Submitted::Receipt(receipt) = submitted else { panic!("{submitted:?}") };
    let receipt = receipt.verify().unwrap();
    receipt.covers(&envelope, crate::world::CHAIN_ID, world.vipe.address).unwrap();
    let raw = handle.fetch(peer, domain, slot).await.unwrap().unwrap();
    assert_eq!(raw.as_bytes().as_slice(), envelope.to_bytes());
    // The same again, and a question: the same receipt.
    let again = handle.submit(peer, &envelope, 0).await.unwrap();
    let Submitted::Receipt(again) = again else { panic!("{again:?}") };
    assert_eq!(again.verify().unwrap(), receipt);
    let empty = Slot { role: Role::Counterparty, ..slot };
    let mut slots = vec![slot, empty];
    slots.sort_by_key(|slot| slot.key());
    let first = slots[0] == slot;
    let status = handle.backup(peer, &BackupRequest::Status { domain, slots }).await.unwrap();
    let BackupResponse::Status(held) = status else { panic!("{status:?}") };
    let (ours, other) = if first { (held[0], held[1]) } else { (held[1], held[0]) };
    assert_eq!((ours.unwrap().verify().unwrap(), other), (receipt, None));

    // What is wrong is refused with its reason.
    let older = handle.submit(peer, &sealed(&pair, 4), 0).await.unwrap();
    assert!(matches!(older, Submitted::Refused(Refusal::Older { .. })), "{older:?}");
    let stranger =
        Pair::in_vault(5, crate::world::CHAIN_ID, world.vipe.address, pair.channel.id().get());
    let forged = handle.submit(peer, &sealed(&stranger, 99), 0).await.unwrap();
    assert_eq!(forged, Submitted::Refused(Refusal::BadSignature));
    let unknown = Pair::in_vault(1, crate::world::CHAIN_ID, world.vipe.address, 77);
    let unknown = handle.submit(peer, &sealed(&unknown, 9), u64::MAX).await.unwrap();
    assert!(matches!(unknown, Submitted::Refused(Refusal::UnknownChannel { .. })), "{unknown:?}");
    stop.cancel();
    tower.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn towers_announce_themselves_and_a_shard_that_is_not_kept_is_refused() {
    let world = World::start(60).await;
    let pair = world.open(34).await;
    let first = world.start_member(0, "").await;
    let kept = Shard::all().filter(|shard| *shard != Shard::of(pair.channel.id()));
    let kept: Vec<String> = kept.map(|shard| shard.to_string()).collect();
    let second = world.start_keeping(1, &first.place().await, &kept.join(",")).await;
    for tower in [&first, &second] {
        tower.caught_up(&world).await;
        let known = |status: &Value| status["network"]["towers_known"].as_u64();
        tower.wait("/v1/status", 30, |_, status| known(status) == Some(2)).await;
    }
    let (handle, peer, stop) = node(&world, &second.place().await).await;
    let (domain, envelope) = (domain(&world), sealed(&pair, 5));
    let refused = handle.submit(peer, &envelope, 0).await.unwrap();
    assert_eq!(refused, Submitted::Refused(Refusal::NotKept));
    let (status, answer) = second.back_up(&envelope.to_bytes()).await;
    assert_eq!((status, &answer["error"]["code"]), (421, &Value::from("not_kept")), "{answer}");
    // Who does keep it is in the directory, signed by both keys.
    let request = BackupRequest::Towers { domain, after: Address::ZERO };
    let page = handle.backup(peer, &request).await.unwrap();
    let BackupResponse::Towers(page) = page else { panic!("{page:?}") };
    let keeps = |entry: &UnverifiedAnnouncement| {
        let signed =
            entry.verify(|key, message, signature| gossip::verify(&key.0, message, signature));
        let shards = signed.unwrap().announcement().shards;
        shards.contains(Shard::of(pair.channel.id()))
    };
    assert_eq!((page.len(), page.iter().filter(|entry| keeps(entry)).count()), (2, 1));
    stop.cancel();
    for tower in [first, second] {
        tower.stop().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dispute_that_one_tower_reads_is_told_to_the_others() {
    let world = World::start(WINDOW_S).await;
    let pair = world.open(33).await;
    let first = world.start_member(0, "").await;
    let second = world.start_member(1, &first.place().await).await;
    for tower in [&first, &second] {
        tower.met(1).await;
        tower.caught_up(&world).await;
    }
    world.dispute(&pair, &pair.final_state(3, 100)).await;
    let alerts = |status: &Value, name: &str| status["network"]["alerts"][name].as_u64();
    for tower in [&first, &second] {
        let heard = |status: &Value| {
            alerts(status, "told") >= Some(1) && alerts(status, "forwarded") >= Some(1)
        };
        tower.wait("/v1/status", 30, |_, status| heard(status)).await;
    }
    for tower in [first, second] {
        tower.stop().await.unwrap();
    }
}

/// A node of the chain that can be cut off: everything goes through to the real one until then.
struct Cut {
    url: String,
    open: Arc<AtomicBool>,
}

impl Cut {
    async fn before(node: &str) -> Self {
        let node = node.trim_start_matches("http://").trim_end_matches('/').to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let open = Arc::new(AtomicBool::new(true));
        let is_open = Arc::clone(&open);
        #[expect(clippy::disallowed_methods, reason = "the harness is not the program")]
        tokio::spawn(async move {
            loop {
                let (mut client, _) = listener.accept().await.unwrap();
                let Ok(mut server) = TcpStream::connect(&node).await else { continue };
                let is_open = Arc::clone(&is_open);
                tokio::spawn(async move {
                    let closed = async {
                        while is_open.load(Ordering::SeqCst) {
                            tokio::time::sleep(Duration::from_millis(20)).await;
                        }
                    };
                    tokio::select! {
                        _ = tokio::io::copy_bidirectional(&mut client, &mut server) => {}
                        () = closed => {}
                    }
                });
            }
        });
        Self { url, open }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tower_that_cannot_read_its_chain_hears_of_a_dispute_and_looks_over_another_node() {
    let world = World::start(WINDOW_S).await;
    let pair = world.open(35).await;
    let first = world.start_member(0, "").await;
    first.caught_up(&world).await;
    let envelope = sealed(&pair, 40);
    assert_eq!(first.back_up(&envelope.to_bytes()).await.0, 200);
    // The second one reads only what two nodes agree on; then one of the two is gone.
    let cut = Cut::before(&world.devnet.http_url()).await;
    let flags = [
        ("chain.other_rpcs", cut.url.as_str()),
        ("chain.quorum", "2"),
        ("chain.request_timeout", "1s"),
    ];
    let second = world.start_member_with(1, &first.place().await, &flags).await;
    second.met(1).await;
    second.caught_up(&world).await;
    cut.open.store(false, Ordering::SeqCst);
    world.dispute(&pair, &pair.final_state(3, 100)).await;
    let unseen = |status: &Value| status["network"]["alerts"]["unseen"].as_u64();
    let status = second.wait("/v1/status", 60, |_, status| unseen(status) >= Some(1)).await;
    // It said so, fetched what others hold, and decided nothing.
    holds(&second, &envelope).await;
    let (_, disputes) = second.get(&format!("/v1/disputes/{}", pair.channel.id())).await;
    assert_eq!(disputes.as_array().map(Vec::len), Some(0), "{disputes} {status:#}");
    for tower in [first, second] {
        tower.stop().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tower_whose_network_task_has_died_says_that_it_is_not_ready_and_goes_on_without() {
    let world = World::start(WINDOW_S).await;
    let config = world.member(0, "", &[]);
    let account = Account::from_bytes(&crate::members::MEMBERS[0]).unwrap();
    let tower = Box::pin(Tower::start(&config, account)).await.unwrap();
    let network = tower.abort_handle("network").unwrap();
    let tower = World::run(tower);
    let named = |answer: &Value| answer["missing"].to_string().contains("the task network has");
    let (_, before) = tower.get("/readyz").await;
    assert!(!named(&before), "{before}");
    network.abort();
    let after = tower.wait("/readyz", 20, |status, answer| status == 503 && named(answer)).await;
    assert_eq!(after["ready"], false, "{after}");
    let page = tower.client.get(format!("{}/metrics", tower.url)).send().await.unwrap();
    let page = page.text().await.unwrap();
    for line in [
        "watchtower_task_running{task=\"network\"} 0",
        "watchtower_task_running{task=\"node\"} 1",
        "watchtower_build_ready 0",
    ] {
        assert!(page.lines().any(|found| found == line), "{line} is not in\n{page}");
    }
    // It watches its chain as before.
    tower.caught_up(&world).await;
    assert_eq!(tower.get("/healthz").await.0, 200);
    tower.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tower_is_ready_only_while_chain_and_peers_are_there_and_alive_all_the_time() {
    let world = World::start(WINDOW_S).await;
    let cut = Cut::before(&world.devnet.http_url()).await;
    let flags = [
        ("chain.rpc", cut.url.as_str()),
        ("chain.request_timeout", "1s"),
        ("network.peers_min", "1"),
    ];
    let tower = world.start_member_with(0, "", &flags).await;
    let misses = |words: &'static str| {
        move |status: u16, answer: &Value| {
            let missing = answer["missing"].as_array().map_or(&[] as &[Value], Vec::as_slice);
            let told =
                missing.len() == 1 && missing[0].as_str().is_some_and(|it| it.contains(words));
            told && status == 503 && answer["ready"] == false
        }
    };
    let ready = |status: u16, answer: &Value| status == 200 && answer["ready"] == true;
    tower.wait("/readyz", 240, misses("0 other towers are connected, 1 are wanted")).await;
    let other = world.start_member(1, &tower.place().await).await;
    tower.wait("/readyz", 30, ready).await;

    cut.open.store(false, Ordering::SeqCst);
    tower.wait("/readyz", 60, misses("the node does not answer")).await;
    let (status, alive) = tower.get("/healthz").await;
    assert_eq!((status, &alive["alive"]), (200, &Value::from(true)), "no restart would help");
    let page = tower.client.get(format!("{}/metrics", tower.url)).send().await.unwrap();
    let page = page.text().await.unwrap();
    assert!(page.contains("\nwatchtower_build_ready 0\n"), "{page}");
    assert!(page.contains("\nwatchtower_build_alive 1\n"), "{page}");
    for tower in [tower, other] {
        tower.stop().await.unwrap();
    }
}

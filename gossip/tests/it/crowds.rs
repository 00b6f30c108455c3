//! Many peers against one tower: sybils, floods of connections, an eclipse.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use tokio::net::{TcpSocket, TcpStream};

use crate::hostile::Hostile;
use crate::mesh::alert;
use crate::scene::Scene;
use crate::world::{SOON, Setup, Tower, envelope, memory, until};

/// The port of a tower that listens on TCP.
fn port(tower: &Tower) -> u16 {
    tower.place.to_string().split('/').nth(4).unwrap().parse().unwrap()
}

#[tokio::test]
async fn a_hundred_sybils_on_one_address_get_eight_places() {
    let scene = Scene::over_tcp().await;
    let a = &scene.a;
    let mut sybils = Vec::new();
    for _ in 0..100 {
        let mut sybil = Hostile::over_tcp();
        if sybil.connect(&a.place).await && !sybil.go_on(Duration::from_millis(20)).await {
            sybils.push(sybil);
        }
    }
    let peers = a.handle.status().await.unwrap().peers;
    println!("{peers} peers of 101 that tried");
    assert!(peers <= 8, "{peers}");
    assert!(a.handle.counters().connections_refused.get() >= 90);
    scene.holds("100 sybils on one address", 5).await;
}

#[tokio::test]
async fn half_open_connections_hold_their_places_for_ten_seconds_and_no_longer() {
    let scene = Scene::over_tcp().await;
    let a = &scene.a;
    let mut silent = Vec::new();
    for _ in 0..200 {
        silent.push(TcpStream::connect(("127.0.0.1", port(a))).await.unwrap());
    }
    scene.holds("200 half-open connections", 5).await;
    until("places are free again", || async {
        let mut honest = Hostile::over_tcp();
        honest.connect(&a.place).await && !honest.go_on(Duration::from_millis(100)).await
    })
    .await;
    drop(silent);
}

/// From 64 addresses of the loopback network: the bound on one address does not help here.
#[tokio::test]
async fn a_flood_of_connections_from_many_addresses_leaves_peers_and_own_dials_alone() {
    let scene = Scene::over_tcp().await;
    let a = &scene.a;
    let target = SocketAddr::from((Ipv4Addr::LOCALHOST, port(a)));
    let mut held = Vec::new();
    let start = Instant::now();
    for round in 0..40_u32 {
        for host in 0..64_u8 {
            let socket = TcpSocket::new_v4().unwrap();
            socket.bind(SocketAddr::from((Ipv4Addr::new(127, 0, 1, host), 0))).unwrap();
            // Some are refused by the system once the queue of the listener is full.
            let connected = tokio::time::timeout(Duration::from_millis(50), socket.connect(target));
            if let Ok(Ok(stream)) = connected.await {
                // Every fourth stays and says nothing; the others go at once.
                if round % 4 == 0 {
                    held.push(stream);
                }
            }
        }
    }
    println!("2,560 connections in {:?}, {} still open", start.elapsed(), held.len());
    scene.holds("flood of connections", 5).await;
    let fresh = Tower::start(Setup::new(2, "/ip4/127.0.0.1/tcp/0"), &[]).await;
    let (start, mut dials) = (Instant::now(), 0);
    while fresh.handle.towers().is_empty() {
        assert!(start.elapsed() < SOON, "{:?}", a.handle.status().await);
        dials += 1;
        a.handle.dial(fresh.place.clone()).unwrap();
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    println!("a new tower met with dial {dials} after {:?}", start.elapsed());
    assert!(a.handle.counters().connections_refused.get() > 0);
}

/// Sybils take every place that is for strangers, join every mesh, and forward nothing.
#[tokio::test]
async fn a_tower_surrounded_by_sybils_still_hears_and_is_heard() {
    let mut victim = Setup::new(0, &memory());
    victim.change = |config| {
        config.limits.inbound_max = 24;
        config.limits.connections_max = 40;
    };
    let victim = Tower::start(victim, &[]).await;
    let mut sybils = Vec::new();
    for _ in 0..40 {
        let mut sybil = Hostile::in_process();
        if sybil.connect(&victim.place).await && !sybil.go_on(Duration::from_millis(20)).await {
            sybil.follow_everything();
            sybils.push(sybil);
        }
    }
    let held = sybils.len();
    let sybils = tokio::task::JoinSet::from_iter(
        sybils
            .into_iter()
            .map(|mut sybil| async move { sybil.go_on(Duration::from_secs(3_600)).await }),
    );
    println!("{held} of 40 sybils are connected");
    assert_eq!(held, 24, "every place for strangers is taken");
    let honest = Tower::start(Setup::new(1, &memory()), &[]).await;
    // The honest one is refused; the victim reaches it by itself.
    honest.handle.dial(victim.place.clone()).unwrap();
    victim.handle.dial(honest.place.clone()).unwrap();
    honest.meets(1).await;
    until("they know each other's topics", || async {
        honest.handle.status().await.unwrap().mesh_min >= 1
    })
    .await;
    for nonce in 1..6 {
        let start = Instant::now();
        let (out, back) = (envelope(1, nonce), envelope(2, nonce));
        honest.handle.submit(victim.handle.me(), &out, 0).await.unwrap();
        honest.holds(&out).await;
        victim.handle.submit(honest.handle.me(), &back, 0).await.unwrap();
        victim.holds(&back).await;
        println!("eclipse attempt: there and back in {:?}", start.elapsed());
    }
    victim.handle.alert(&alert(9, 1)).unwrap();
    until("the alert", || async {
        honest.desk.alerts.load(std::sync::atomic::Ordering::Relaxed) == 1
    })
    .await;
    let (end, report) = victim.desk.reconcile(&victim.handle, honest.handle.me(), 3).await.unwrap();
    println!("reconciliation with the honest tower: {end:?}, {report:?}");
    assert_eq!(victim.desk.content(), honest.desk.content());
    drop(sybils);
}

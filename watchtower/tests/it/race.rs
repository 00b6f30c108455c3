//! Towers that take turns: one whose turn it is may be there and do nothing.

use alloy_primitives::Signature;
use chain::account::Account;
use chain::provider::At;
use gossip::{Handle, Identity};
use protocol::Role;
use protocol::network::ShardSet;
use protocol::network::wire::{Announcement, NodeKey, Topic};
use protocol::testing::Pair;
use protocol::vnode::turn::Order;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::network::{domain, node_as};
use crate::story::{assert_in_order, steps};
use crate::world::{Running, SIDE, WINDOW_S, World};

/// Towers that are connected, have announced themselves, and do nothing ever.
const SILENT: u8 = 3;

/// Seconds of the chain that each tower has for its turn: two of them are four seconds of this world.
const SLOT_S: u64 = 10;

struct Silent {
    handle: Handle,
    stop: CancellationToken,
    account: Account,
    announcement: Vec<u8>,
}

impl Silent {
    async fn join(world: &World, place: &str, number: u8) -> Self {
        let (account, identity) =
            (Account::from_bytes(&[0x51 + number; 32]).unwrap(), Identity::ephemeral());
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        let said = Announcement {
            domain: domain(world),
            tower: account.address(),
            node_key: NodeKey::from_peer_id(&identity.peer().to_bytes()).unwrap(),
            shards: ShardSet::ALL,
            software: 0,
            issued_at: now.as_secs(),
            expires_at: now.as_secs() + 3_600,
        };
        let signature = account.sign_digest(&said.signing_hash()).unwrap();
        let signature = Signature::from_raw(&signature).unwrap();
        let node = identity.sign(&said.node_message()).unwrap();
        let announced = said.signed(&signature, node, |key, message, signature| {
            gossip::verify(&key.0, message, signature)
        });
        let (handle, _tower, stop) = node_as(world, place, &identity).await;
        Self { handle, stop, account, announcement: announced.unwrap().to_bytes() }
    }
}

/// Makes all of them known to the tower.
async fn announce(world: &World, tower: &Running, silent: &[Silent]) {
    let known = |status: &Value| status["network"]["towers_known"].as_u64();
    let wanted = Some(1 + silent.len() as u64);
    for _ in 0..60 {
        for one in silent {
            // Nobody listens until the meshes are formed.
            let _ = one.handle.publish(Topic::Towers(domain(world)), one.announcement.clone());
        }
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
        if known(&tower.get("/v1/status").await.1) == wanted {
            return;
        }
    }
    panic!("the silent towers never became known");
}

/// Disputes of new channels until one of the silent towers comes before ours: that pair, and how long ours is to wait.
async fn dispute_of_anothers_turn(
    world: &World,
    tower: &Running,
    me: &Account,
    silent: &[Silent],
) -> (Pair, u64) {
    let order = Order::new(SLOT_S, WINDOW_S);
    for seed in 60..80 {
        let pair = world.open(seed).await;
        tower.caught_up(world).await;
        let live = pair.seal(Role::Participant, &pair.final_state(40, SIDE));
        assert_eq!(tower.back_up(&live.to_bytes()).await.0, 200);
        let opened = world.dispute(&pair, &pair.final_state(3, 100)).await;
        let accounts: Vec<_> = silent.iter().map(|one| one.account.address()).collect();
        let others = accounts.iter().map(|other| other.as_slice());
        let wait_s = order.wait_s(opened.block.hash, me.address().as_slice(), others);
        if wait_s > 0 {
            return (pair, wait_s);
        }
    }
    panic!("ours came first in twenty disputes");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tower_that_stays_connected_and_silent_in_its_turn_only_delays_the_next_by_a_slot() {
    let world = World::start(WINDOW_S).await;
    let slot = format!("{SLOT_S}s");
    let tower = world.start_member_with(0, "", &[("decision.race_slot", &slot)]).await;
    let me = Account::from_bytes(&crate::members::MEMBERS[0]).unwrap();
    tower.caught_up(&world).await;
    let place = tower.place().await;
    let mut silent = Vec::new();
    for number in 0..SILENT {
        silent.push(Silent::join(&world, &place, number).await);
    }
    tower.met(u64::from(SILENT)).await;
    announce(&world, &tower, &silent).await;

    let (pair, wait_s) = dispute_of_anothers_turn(&world, &tower, &me, &silent).await;
    let path = format!("/v1/disputes/{}", pair.channel.id());
    let done = |_, lives: &Value| {
        lives[0]["journal"].is_array() && steps(&lives[0]).contains(&"overridden")
    };
    let lives = tower.wait(&path, 180, done).await;
    let life = &lives[0];
    assert_in_order(&steps(life), &["seen", "proved", "holds", "sent", "overridden"]);
    // It waited for whoever came before, by the chain's clock, and then did the work itself.
    let journal = life["journal"].as_array().unwrap();
    let block = |step: &str| {
        let line = journal.iter().find(|line| line["step"] == step).unwrap();
        line["block"].as_u64().unwrap()
    };
    let (opened, overridden) = (block("seen"), block("overridden"));
    let time =
        async |number: u64| world.rpc.header(At::Number(number)).await.unwrap().unwrap().timestamp;
    let waited = time(overridden).await - time(opened).await;
    assert!(waited >= wait_s, "sent after {waited} s, its turn came after {wait_s}");
    // Nobody was away: they were all connected, to the end.
    let (_, status) = tower.get("/v1/status").await;
    assert_eq!(status["network"]["towers"].as_u64(), Some(u64::from(SILENT)), "{status:#}");
    let dispute = world.vipe.dispute_of(&world.rpc, pair.channel.id(), At::Latest).await.unwrap();
    assert_eq!(dispute.nonce.get(), 40);
    for one in silent {
        one.stop.cancel();
    }
    tower.stop().await.unwrap();
}

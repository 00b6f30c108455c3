//! What the tests of misbehaviour share: two honest towers, and what must hold whatever a third party does to them.

use std::time::{Duration, Instant};

use protocol::network::wire::Topic;

use crate::hostile::Hostile;
use crate::world::{Setup, Tower, domain, envelope, memory, slot};

/// As in the crate: nothing below it is read.
pub(crate) const GRAYLIST_LINE: f64 = -2_500.0;

/// What an attack may add to this process's memory: queues, buffers and caches of the victim, and the attacker's own.
pub(crate) const MEMORY_MAX: u64 = 192 * 1_024 * 1_024;

/// More than an honest delivery takes on a busy machine; without an attack it takes milliseconds.
const DELIVERY_MAX: Duration = Duration::from_secs(5);

pub(crate) fn resident() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4_096
}

pub(crate) fn backups(channel: u64) -> String {
    Topic::Backups(domain(), slot(channel).shard()).to_string()
}

pub(crate) async fn score(tower: &Tower, culprit: &Hostile) -> Option<f64> {
    let peers = tower.handle.peers().await.unwrap();
    peers.iter().find(|info| info.peer == culprit.me()).map(|info| info.score)
}

/// Two honest towers that hear each other. The first is the victim.
pub(crate) struct Scene {
    pub(crate) a: Tower,
    pub(crate) b: Tower,
    before: u64,
}

impl Scene {
    pub(crate) async fn in_process() -> Self {
        Self::listening([&memory(), &memory()]).await
    }

    pub(crate) async fn over_tcp() -> Self {
        Self::listening(["/ip4/127.0.0.1/tcp/0"; 2]).await
    }

    async fn listening([first, second]: [&str; 2]) -> Self {
        Self::of(Setup::new(0, first), Setup::new(1, second)).await
    }

    pub(crate) async fn of(first: Setup, second: Setup) -> Self {
        let a = Tower::start(first, &[]).await;
        let b = Tower::start(second, std::slice::from_ref(&a.place)).await;
        a.meshes(1).await;
        Self { a, b, before: resident() }
    }

    /// A peer of the victim that knows its topics.
    pub(crate) async fn culprit(&self) -> Hostile {
        let mut hostile = Hostile::in_process();
        assert!(hostile.connect(&self.a.place).await);
        hostile.learn_topics().await;
        hostile
    }

    /// An envelope handed to the victim by the other tower reaches both, in good time, and memory is within its bound.
    pub(crate) async fn holds(&self, attack: &str, nonce: u64) {
        let (a, b) = (&self.a, &self.b);
        let sent = envelope(1, nonce);
        let start = Instant::now();
        b.handle.submit(a.handle.me(), &sent, 0).await.unwrap();
        a.holds(&sent).await;
        b.holds(&sent).await;
        let (took, grown) = (start.elapsed(), resident().saturating_sub(self.before));
        println!("{attack}: honest delivery in {took:.1?}, memory +{} KiB", grown / 1_024);
        assert!(took < DELIVERY_MAX, "{took:?}");
        assert!(grown < MEMORY_MAX, "{grown} bytes");
        assert_eq!(a.desk.pending(), 0, "signatures wait for ever");
    }
}

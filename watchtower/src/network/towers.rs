//! The towers of this vault: this one announces itself, hears of others, and keeps the shards that are placed with it.
//!
//! ```text
//!   own announcement --hourly, and when it changes--> topic of towers     others' --> directory
//!   a tower is met --> its directory, page by page (checked entry by entry) --> directory
//!   directory --> which shards are placed here (only where the operator asked for placement)
//! ```
//!
//! **Invariant:** every entry is signed by the account and by the node that it names; nothing else about it is believed.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use alloy_primitives::{Address, Signature};
use chain::account::{Account, AccountError};
use gossip::{Handle, Identity, Peer};
use protocol::Domain;
use protocol::network::ShardSet;
use protocol::network::admission::{Buckets, Fault, Ignored, Rate, Verdict};
use protocol::network::placement::{Directory, Listed, REPLICATION, Selection, Standing};
use protocol::network::wire::{
    Announcement, BackupRequest, BackupResponse, NodeKey, SignedAnnouncement, SignerError, Topic,
    UnverifiedAnnouncement,
};
use rand::seq::SliceRandom as _;
use store::Store;
use tokio_util::sync::CancellationToken;

use super::{PEERS_MAX, Replica};
use crate::admission::{Admission, lock};
use crate::tasks::TaskFailure;

/// Announcements that one sender passes on: a full directory at once, then four a second.
const HEARD: Rate = Rate { burst: 1_024, period_us: 250_000 };

/// How long an announcement counts, in seconds: a tower that is gone is forgotten after so long.
const VALID_S: u64 = 12 * 3_600;

/// How often a tower announces itself when nothing changes.
const ANNOUNCE_EVERY: Duration = Duration::from_secs(3_600);

/// How often towers that were met are asked, placement is looked at and what expired is forgotten.
const TICK: Duration = Duration::from_secs(2);

/// Pages of a directory that are read from one tower: as many as a full one has.
const PAGES_MAX: usize = 64;

/// Accounts that were paid for an override, as far as they are remembered: more than a directory holds.
const PAID_MAX: usize = 4_096;

/// The towers that this one knows.
#[derive(Debug)]
pub(crate) struct Towers {
    domain: Domain,
    directory: Mutex<Directory>,
    budgets: Mutex<Buckets<Peer>>,
    /// Nodes that the operator named.
    named: BTreeSet<NodeKey>,
    paid: Mutex<BTreeSet<Address>>,
    began: Instant,
}

/// Whether the node key signed the message.
fn signed_by(key: &NodeKey, message: &[u8], signature: &[u8; 64]) -> bool {
    gossip::verify(&key.0, message, signature)
}

impl Towers {
    pub(crate) fn new(domain: Domain, named: impl IntoIterator<Item = Peer>) -> Self {
        let key = |peer: Peer| NodeKey::from_peer_id(&peer.to_bytes());
        Self {
            domain,
            directory: Mutex::new(Directory::new(domain)),
            budgets: Mutex::new(Buckets::new(HEARD, PEERS_MAX)),
            named: named.into_iter().filter_map(key).collect(),
            paid: Mutex::new(BTreeSet::new()),
            began: Instant::now(),
        }
    }

    /// How many towers are listed, this one included.
    pub(crate) fn len(&self) -> usize {
        lock(&self.directory).len()
    }

    /// Of the shards that are kept here: the fewest listed towers, this one included, that say that they keep one.
    pub(crate) fn copies_min(&self, kept: ShardSet) -> usize {
        let directory = lock(&self.directory);
        kept.iter().map(|shard| directory.copies(shard)).min().unwrap_or(0)
    }

    /// Whether an account is a listed tower.
    pub(crate) fn knows(&self, tower: &Address) -> bool {
        lock(&self.directory).knows(tower)
    }

    /// An account was paid for an override on this chain: that cost it a proof and gas.
    pub(crate) fn paid(&self, tower: Address) {
        let mut paid = lock(&self.paid);
        if paid.len() < PAID_MAX {
            paid.insert(tower);
        }
    }

    /// A page of the directory, for an answer.
    pub(crate) fn page(&self, after: Address) -> Vec<UnverifiedAnnouncement> {
        lock(&self.directory).page(after)
    }

    /// Judges an announcement from the topic of towers.
    pub(crate) fn hear(&self, from: Peer, bytes: &[u8]) -> Verdict {
        if bytes.len() != UnverifiedAnnouncement::LEN {
            return Verdict::Reject(Fault::Size);
        }
        let Ok(unverified) = UnverifiedAnnouncement::from_bytes(bytes) else {
            return Verdict::Reject(Fault::Malformed);
        };
        if unverified.claims().domain != self.domain {
            return Verdict::Reject(Fault::OtherDomain);
        }
        let now_ms = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        if let Err(retry_after_ms) = lock(&self.budgets).take(from, 1, now_ms) {
            return Verdict::Ignore(Ignored::SenderBusy { retry_after_ms });
        }
        match self.offer(unverified) {
            Err(_not_signed) => Verdict::Reject(Fault::Signature),
            Ok(Listed::New | Listed::Updated) => Verdict::Accept,
            Ok(Listed::OtherDomain) => Verdict::Reject(Fault::OtherDomain),
            Ok(Listed::Known) => Verdict::Ignore(Ignored::Same),
            Ok(Listed::Untimely) => Verdict::Ignore(Ignored::Untimely),
            Ok(Listed::Full) => Verdict::Ignore(Ignored::Overloaded),
        }
    }

    fn offer(&self, unverified: UnverifiedAnnouncement) -> Result<Listed, SignerError> {
        let signed = unverified.verify(signed_by)?;
        Ok(self.list(signed))
    }

    fn list(&self, signed: SignedAnnouncement) -> Listed {
        let announcement = signed.announcement();
        let standing = if self.named.contains(&announcement.node_key) {
            Standing::Named
        } else if lock(&self.paid).contains(&announcement.tower) {
            Standing::Paid
        } else {
            Standing::Unknown
        };
        lock(&self.directory).offer(signed, standing, crate::clock::now_s())
    }

    /// The accounts of those listed towers whose nodes are among `peers`: one a node, whatever it announced.
    pub(crate) fn among(&self, peers: &[Peer]) -> Vec<Address> {
        let node = |peer: &Peer| NodeKey::from_peer_id(&peer.to_bytes());
        let mut met: BTreeSet<NodeKey> = peers.iter().filter_map(node).collect();
        let directory = lock(&self.directory);
        let is_met = |tower: &Address| directory.node(tower).is_some_and(|node| met.remove(&node));
        directory.accounts().filter(is_met).collect()
    }

    fn expire(&self) {
        lock(&self.directory).expire(crate::clock::now_s());
    }

    fn accounts(&self) -> Vec<Address> {
        lock(&self.directory).accounts().collect()
    }
}

#[derive(Debug, thiserror::Error)]
enum NotAnnounced {
    #[error("the name on the network is of no Ed25519 key")]
    Name,
    #[error(transparent)]
    Account(#[from] AccountError),
    #[error(transparent)]
    Signature(#[from] alloy_primitives::SignatureError),
    #[error(transparent)]
    Signer(#[from] SignerError),
}

/// The task that keeps the directory.
#[derive(Debug)]
pub(crate) struct Herald {
    pub(crate) towers: Arc<Towers>,
    pub(crate) handle: Handle,
    pub(crate) identity: Identity,
    pub(crate) account: Account,
    pub(crate) store: Store,
    pub(crate) admission: Arc<Admission>,
    pub(crate) replica: Arc<Replica>,
    pub(crate) selection: Selection,
}

/// What was done when.
#[derive(Debug, Default)]
struct Diary {
    met: BTreeSet<Peer>,
    announced: Option<(Instant, ShardSet)>,
    asked: Option<Instant>,
}

impl Herald {
    /// Announces, asks and places until told to stop.
    ///
    /// # Errors
    /// When the store cannot be read for shards that are kept anew.
    pub(crate) async fn run(self, stop: CancellationToken) -> Result<(), TaskFailure> {
        let mut diary = Diary::default();
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(()),
                () = tokio::time::sleep(TICK) => {}
            }
            self.towers.expire();
            self.place()?;
            self.announce(&mut diary);
            tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(()),
                () = self.ask(&mut diary) => {}
            }
        }
    }

    /// Keeps what is placed here, where the operator asked for it.
    fn place(&self) -> Result<(), TaskFailure> {
        let (me, others) = (self.account.address(), self.towers.accounts());
        let shards = self.selection.shards(self.towers.domain, me, &others, REPLICATION);
        if shards == self.replica.kept() {
            return Ok(());
        }
        tracing::info!(
            shards = shards.len(),
            towers = others.len(),
            "other shards are placed with this tower now"
        );
        self.replica.keep(&self.store, shards)?;
        self.admission.keep(shards);
        Ok(())
    }

    fn announce(&self, diary: &mut Diary) {
        let shards = self.replica.kept();
        let fresh = diary
            .announced
            .is_some_and(|(at, said)| said == shards && at.elapsed() < ANNOUNCE_EVERY);
        // What nobody hears is said again when somebody is there.
        let heard = !self.handle.towers().is_empty();
        if fresh || (diary.announced.is_some() && !heard) {
            return;
        }
        match self.announcement(shards) {
            Ok(signed) => {
                self.towers.list(signed);
                let topic = Topic::Towers(self.towers.domain);
                if let Err(error) = self.handle.publish(topic, signed.to_bytes()) {
                    tracing::debug!(%error, "this tower is not announced; others ask for it");
                }
                diary.announced = Some((Instant::now(), shards));
            }
            Err(error) => tracing::error!(%error, "this tower cannot announce itself"),
        }
    }

    fn announcement(&self, shards: ShardSet) -> Result<SignedAnnouncement, NotAnnounced> {
        let node_key =
            NodeKey::from_peer_id(&self.handle.me().to_bytes()).ok_or(NotAnnounced::Name)?;
        let issued_at = crate::clock::now_s();
        let announcement = Announcement {
            domain: self.towers.domain,
            tower: self.account.address(),
            node_key,
            shards,
            software: software(),
            issued_at,
            expires_at: issued_at.saturating_add(VALID_S),
        };
        let bytes = self.account.sign_digest(&announcement.signing_hash())?;
        let node = self.identity.sign(&announcement.node_message()).ok_or(NotAnnounced::Name)?;
        Ok(announcement.signed(&Signature::from_raw(&bytes)?, node, signed_by)?)
    }

    /// Asks the towers that were met for whom they know; one more by chance, now and then.
    async fn ask(&self, diary: &mut Diary) {
        let towers = self.handle.towers();
        let known: BTreeSet<Peer> = towers.iter().copied().collect();
        let met: Vec<Peer> = known.difference(&diary.met).copied().collect();
        diary.met = known;
        for peer in &met {
            self.read_directory(*peer).await;
        }
        let rested = diary.asked.is_none_or(|at| at.elapsed() >= ANNOUNCE_EVERY / 4);
        if met.is_empty() && rested {
            diary.asked = Some(Instant::now());
            let chosen = towers.choose(&mut rand::thread_rng()).copied();
            if let Some(peer) = chosen {
                self.read_directory(peer).await;
            }
        }
    }

    async fn read_directory(&self, peer: Peer) {
        let domain = self.towers.domain;
        let mut after = Address::ZERO;
        for _ in 0..PAGES_MAX {
            let request = BackupRequest::Towers { domain, after };
            let page = match self.handle.backup(peer, &request).await {
                Ok(BackupResponse::Towers(page)) => page,
                Ok(_other) => return,
                Err(error) => {
                    tracing::debug!(%peer, %error, "a tower does not say whom it knows");
                    return;
                }
            };
            let Some(last) = page.last().map(|entry| entry.claims().tower) else { return };
            // Pages are ascending; one that does not go on would go round.
            if last <= after {
                return;
            }
            after = last;
            for entry in page {
                if let Err(error) = self.towers.offer(entry) {
                    tracing::debug!(%peer, %error, "an announcement that is not signed");
                    return;
                }
            }
        }
    }
}

/// This software's version, as announcements carry it: told, never trusted.
fn software() -> u64 {
    let mut version = 0_u64;
    for (part, shift) in env!("CARGO_PKG_VERSION").split('.').zip([48_u32, 32, 16]) {
        let number: u16 = part.parse().unwrap_or(0);
        version |= u64::from(number).wrapping_shl(shift);
    }
    version
}

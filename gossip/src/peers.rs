//! The address book: peers that answered before, and peers that are banned, remembered over restarts.
//!
//! A cache, and treated as one: a line that cannot be read is dropped and counted, a lost file costs one bootstrap. Only
//! peers that really answered get in, so nobody fills it by talking; it is bounded in peers and addresses, and forgets
//! who was not seen for a month. A ban ends by itself.
//!
//! ```text
//!   vrc address book 1
//!   peer <seconds last seen> <peer> <address> <address>...
//!   ban <seconds until> <peer>
//! ```
//!
//! **Invariant:** the file is replaced whole, by a rename; a power cut leaves the old one or the new one.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::Path;

use libp2p::{Multiaddr, PeerId};

use crate::identity::sync_directory;
use crate::names::{Peer, Place, bare};

/// Peers that are remembered. At the bound the one that was not seen for longest is forgotten. A few hundred are more
/// than a start can ever try.
const PEERS_MAX: usize = 512;

/// Addresses of one peer that are remembered; the newest come first.
const ADDRESSES_MAX: usize = 4;

/// Bans that are remembered. At the bound the one that ends first is lifted.
const BANS_MAX: usize = 4_096;

/// After this many seconds without an answer a peer is forgotten: addresses of home connections do not last.
const FORGET_AFTER_S: u64 = 30 * 24 * 3_600;

/// The first line of the file.
const HEADING: &str = "vrc address book 1";

/// More than a full book; what is longer is not read.
const FILE_BYTES_MAX: u64 = 2 * 1024 * 1024;

#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    seen_s: u64,
    addresses: Vec<Multiaddr>,
}

/// What is remembered of peers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct AddressBook {
    peers: BTreeMap<PeerId, Entry>,
    bans: BTreeMap<PeerId, u64>,
}

impl AddressBook {
    /// Reads the file. Gives the book, and how many lines were dropped; an absent file is an empty book.
    pub(crate) fn load(path: &Path, now_s: u64) -> io::Result<(Self, usize)> {
        let mut text = Vec::new();
        match File::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Default::default()),
            Err(error) => return Err(error),
            Ok(file) => file.take(FILE_BYTES_MAX).read_to_end(&mut text)?,
        };
        let text = String::from_utf8_lossy(&text);
        let mut lines = text.lines();
        if lines.next() != Some(HEADING) {
            return Ok((Self::default(), text.lines().count()));
        }
        let mut book = Self::default();
        let dropped = lines.filter(|line| book.read_line(line).is_none()).count();
        book.tidy(now_s);
        Ok((book, dropped))
    }

    fn read_line(&mut self, line: &str) -> Option<()> {
        let mut words = line.split_ascii_whitespace();
        let kind = words.next()?;
        let time_s = words.next()?.parse().ok()?;
        let peer = words.next()?.parse().ok()?;
        match kind {
            "peer" => {
                let addresses: Vec<Multiaddr> =
                    words.map(str::parse).collect::<Result<_, _>>().ok()?;
                for address in addresses.into_iter().rev() {
                    self.seen(peer, &address, time_s);
                }
            }
            "ban" => {
                self.bans.insert(peer, time_s);
            }
            _ => return None,
        }
        Some(())
    }

    /// Remembers that `peer` answered at `address`.
    pub(crate) fn seen(&mut self, peer: PeerId, address: &Multiaddr, now_s: u64) {
        let address = bare(address);
        let entry =
            self.peers.entry(peer).or_insert_with(|| Entry { seen_s: 0, addresses: Vec::new() });
        entry.seen_s = entry.seen_s.max(now_s);
        entry.addresses.retain(|known| *known != address);
        entry.addresses.insert(0, address);
        entry.addresses.truncate(ADDRESSES_MAX);
        if self.peers.len() > PEERS_MAX {
            let others = self.peers.iter().filter(|(other, _)| **other != peer);
            let oldest = others.min_by_key(|(_, entry)| entry.seen_s);
            if let Some(oldest) = oldest.map(|(peer, _)| *peer) {
                self.peers.remove(&oldest);
            }
        }
    }

    /// Bans a peer for a time.
    pub(crate) fn ban(&mut self, peer: PeerId, until_s: u64) {
        self.peers.remove(&peer);
        self.bans.insert(peer, until_s);
        if self.bans.len() > BANS_MAX {
            let first = self.bans.iter().min_by_key(|(_, until)| **until).map(|(peer, _)| *peer);
            if let Some(first) = first {
                self.bans.remove(&first);
            }
        }
    }

    /// Forgets what is too old. Gives the peers whose ban has ended.
    pub(crate) fn tidy(&mut self, now_s: u64) -> Vec<PeerId> {
        self.peers.retain(|_, entry| now_s.saturating_sub(entry.seen_s) < FORGET_AFTER_S);
        let ended: Vec<PeerId> =
            self.bans.iter().filter(|(_, until)| **until <= now_s).map(|(peer, _)| *peer).collect();
        for peer in &ended {
            self.bans.remove(peer);
        }
        ended
    }

    /// Whom to try at a start, most lately seen first.
    pub(crate) fn known(&self) -> Vec<(PeerId, Vec<Multiaddr>)> {
        let mut known: Vec<_> = self.peers.iter().collect();
        known.sort_by_key(|(_, entry)| std::cmp::Reverse(entry.seen_s));
        known.into_iter().map(|(peer, entry)| (*peer, entry.addresses.clone())).collect()
    }

    /// Where a peer answered, newest first.
    pub(crate) fn addresses(&self, peer: &PeerId) -> Vec<Multiaddr> {
        self.peers.get(peer).map(|entry| entry.addresses.clone()).unwrap_or_default()
    }

    /// Who is banned.
    pub(crate) fn banned(&self) -> impl Iterator<Item = &PeerId> {
        self.bans.keys()
    }

    /// The file's text.
    pub(crate) fn to_text(&self) -> String {
        let mut text = format!("{HEADING}\n");
        for (peer, entry) in &self.peers {
            text.push_str(&format!("peer {} {}", entry.seen_s, Peer(*peer)));
            for address in &entry.addresses {
                text.push_str(&format!(" {}", Place(address.clone())));
            }
            text.push('\n');
        }
        for (peer, until) in &self.bans {
            text.push_str(&format!("ban {until} {}\n", Peer(*peer)));
        }
        text
    }
}

/// Replaces the file. Blocks on the disk.
pub(crate) fn save(path: &Path, text: &str) -> io::Result<()> {
    let unfinished = path.with_extension("unfinished");
    let mut file = File::create(&unfinished)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&unfinished, path)?;
    sync_directory(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW_S: u64 = 1_800_000_000;

    fn address(port: u16) -> Multiaddr {
        format!("/ip4/192.0.2.1/tcp/{port}").parse().unwrap()
    }

    #[test]
    fn a_book_reads_what_it_wrote() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("peers.txt");
        let mut book = AddressBook::default();
        let peer = PeerId::random();
        book.seen(peer, &address(1), NOW_S - 2);
        book.seen(peer, &address(2).with_p2p(peer).unwrap(), NOW_S - 1);
        book.ban(PeerId::random(), NOW_S + 60);
        save(&path, &book.to_text()).unwrap();
        assert_eq!(AddressBook::load(&path, NOW_S).unwrap(), (book.clone(), 0));
        assert_eq!(book.known(), [(peer, vec![address(2), address(1)])]);
    }

    #[test]
    fn peers_addresses_and_bans_are_bounded_and_the_oldest_go_first() {
        let mut book = AddressBook::default();
        let first = PeerId::random();
        book.seen(first, &address(1), NOW_S - 1);
        for port in 0..20 {
            book.seen(PeerId::random(), &address(port), NOW_S);
        }
        for _ in 0..PEERS_MAX {
            book.seen(PeerId::random(), &address(7), NOW_S);
        }
        assert_eq!(book.peers.len(), PEERS_MAX);
        assert!(!book.peers.contains_key(&first));
        let talkative = PeerId::random();
        for port in 0..50 {
            book.seen(talkative, &address(port), NOW_S);
        }
        assert_eq!(book.peers[&talkative].addresses.len(), ADDRESSES_MAX);
        for until in 0..=BANS_MAX as u64 {
            book.ban(PeerId::random(), NOW_S + until);
        }
        assert_eq!(book.bans.len(), BANS_MAX);
        assert!(book.bans.values().all(|until| *until > NOW_S));
    }

    #[test]
    fn old_peers_are_forgotten_and_bans_end() {
        let mut book = AddressBook::default();
        book.seen(PeerId::random(), &address(1), NOW_S);
        let banned = PeerId::random();
        book.ban(banned, NOW_S + 10);
        assert!(book.tidy(NOW_S + 9).is_empty());
        assert_eq!(book.tidy(NOW_S + 10), [banned]);
        assert_eq!(book.known().len(), 1);
        book.tidy(NOW_S + FORGET_AFTER_S);
        assert!(book.known().is_empty());
    }

    #[test]
    fn lines_that_cannot_be_read_are_dropped_and_counted() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("peers.txt");
        let peer = PeerId::random();
        let good = format!("peer {NOW_S} {peer} /ip4/192.0.2.1/tcp/1");
        let text = format!(
            "{HEADING}\n{good}\nfriend {NOW_S} {peer}\npeer soon {peer}\nban {NOW_S}\n\npeer {NOW_S} {peer} nowhere\n"
        );
        fs::write(&path, text).unwrap();
        let (book, dropped) = AddressBook::load(&path, NOW_S).unwrap();
        assert_eq!((book.known().len(), dropped), (1, 5));
        fs::write(&path, "another file\nof two lines\n").unwrap();
        assert_eq!(AddressBook::load(&path, NOW_S).unwrap(), (AddressBook::default(), 2));
        assert!(AddressBook::load(dir.path(), NOW_S).is_err());
    }

    #[test]
    fn a_banned_peer_is_no_longer_known() {
        let mut book = AddressBook::default();
        let peer = PeerId::random();
        book.seen(peer, &address(1), NOW_S);
        book.ban(peer, NOW_S + 10);
        assert!(book.known().is_empty());
        assert_eq!(book.banned().collect::<Vec<_>>(), [&peer]);
    }
}

//! The tower's name on the network: an ed25519 key on disk.
//!
//! Made once, readable by its owner only. It signs nothing but the handshakes of connections: losing it costs the name
//! and the reputation with other towers, never money.
//!
//! **Invariant:** an existing key file is never overwritten; one that others may read, or that does not decode, is an error.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use libp2p::identity::{KeyType, Keypair, ed25519};

use crate::names::Peer;

/// Permissions of the key file: its owner may read and write it.
const MODE: u32 = 0o600;

/// More than any encoded ed25519 key (68 bytes); what is longer is not read.
const FILE_BYTES_MAX: u64 = 256;

/// Why there is no identity.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IdentityError {
    /// Somebody else may read or write the key.
    #[error(
        "others have access to the identity key {} (mode {mode:03o}); run chmod 600 on it, or remove it for a new name", path.display()
    )]
    Open {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The file is no ed25519 key.
    #[error("{} is no ed25519 key in libp2p's encoding; restore it, or remove it for a new name", path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
    },
    /// The file cannot be read or made.
    #[error("the identity key {} cannot be {what}", path.display())]
    Disk {
        /// The file.
        path: PathBuf,
        /// What was wanted.
        what: &'static str,
        /// Why not.
        #[source]
        source: io::Error,
    },
}

/// A key that names its owner on the network.
#[derive(Clone)]
pub struct Identity(pub(crate) Keypair);

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Identity({})", self.peer())
    }
}

impl Identity {
    /// A new one that is kept nowhere: for clients that need no lasting name, and for tests.
    #[must_use]
    pub fn ephemeral() -> Self {
        Self(Keypair::generate_ed25519())
    }

    /// Reads the key at `path`, or makes one there.
    ///
    /// # Errors
    /// See [`IdentityError`].
    pub fn load_or_create(path: &Path) -> Result<Self, IdentityError> {
        match read(path) {
            Err(IdentityError::Disk { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                create(path)
            }
            outcome => outcome,
        }
    }

    /// Who this is.
    #[must_use]
    pub fn peer(&self) -> Peer {
        Peer(self.0.public().to_peer_id())
    }
}

impl Identity {
    /// Signs a message with the key behind the name, for others to check with [`verify`]; none if it does not sign, which no
    /// ed25519 key does. What is signed must say what it is: the same key signs the handshakes of connections.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> Option<[u8; 64]> {
        self.0.sign(message).ok()?.try_into().ok()
    }
}

/// Whether the ed25519 public key `key` signed `message`.
#[must_use]
pub fn verify(key: &[u8; 32], message: &[u8], signature: &[u8; 64]) -> bool {
    let Ok(key) = ed25519::PublicKey::try_from_bytes(key) else { return false };
    key.verify(message, signature)
}

fn disk(path: &Path, what: &'static str) -> impl FnOnce(io::Error) -> IdentityError {
    let path = path.to_owned();
    move |source| IdentityError::Disk { path, what, source }
}

fn read(path: &Path) -> Result<Identity, IdentityError> {
    let file = File::open(path).map_err(disk(path, "opened"))?;
    let mode = file.metadata().map_err(disk(path, "read"))?.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(IdentityError::Open { path: path.to_owned(), mode });
    }
    let mut bytes = Vec::new();
    file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(disk(path, "read"))?;
    match Keypair::from_protobuf_encoding(&bytes) {
        Ok(pair) if pair.key_type() == KeyType::Ed25519 => Ok(Identity(pair)),
        _ => Err(IdentityError::Corrupt { path: path.to_owned() }),
    }
}

/// Writes the key whole under another name first, so that a power cut leaves a key or none.
fn create(path: &Path) -> Result<Identity, IdentityError> {
    let pair = Keypair::generate_ed25519();
    let encoded = pair
        .to_protobuf_encoding()
        .map_err(|_kind| IdentityError::Corrupt { path: path.to_owned() })?;
    let unfinished = path.with_extension("unfinished");
    match fs::remove_file(&unfinished) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(disk(&unfinished, "replaced")(error));
        }
        _ => {}
    }
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(MODE)
        .open(&unfinished)
        .map_err(disk(path, "made"))?;
    file.write_all(&encoded).map_err(disk(path, "written"))?;
    file.sync_all().map_err(disk(path, "written"))?;
    // A link, unlike a rename, fails when another process made the key meanwhile.
    fs::hard_link(&unfinished, path).map_err(disk(path, "put in place"))?;
    fs::remove_file(&unfinished).map_err(disk(&unfinished, "removed"))?;
    sync_directory(path).map_err(disk(path, "made durable"))?;
    Ok(Identity(pair))
}

/// Makes a new name in a directory durable.
pub(crate) fn sync_directory(path: &Path) -> io::Result<()> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    File::open(directory.unwrap_or(Path::new(".")))?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_made_once_and_keeps_its_name() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("identity.key");
        let made = Identity::load_or_create(&path).unwrap();
        let read = Identity::load_or_create(&path).unwrap();
        assert_eq!(made.peer(), read.peer());
        let mode = fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, MODE);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "nothing is left behind");
    }

    #[test]
    fn what_a_name_signed_is_verified_by_the_key_in_it_and_nothing_else_is() {
        let identity = Identity::ephemeral();
        let id = identity.peer().to_bytes();
        let key: [u8; 32] = id[id.len() - 32..].try_into().unwrap();
        let signature = identity.sign(b"a message").unwrap();
        assert!(verify(&key, b"a message", &signature));
        assert!(!verify(&key, b"another message", &signature));
        let mut other = signature;
        other[3] ^= 1;
        assert!(!verify(&key, b"a message", &other));
        assert!(!verify(&[0xff; 32], b"a message", &signature));
    }

    #[test]
    fn a_key_that_others_may_read_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("identity.key");
        Identity::load_or_create(&path).unwrap();
        for mode in [0o640, 0o604, 0o660, 0o777] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let outcome = Identity::load_or_create(&path);
            assert!(
                matches!(outcome, Err(IdentityError::Open { mode: found, .. }) if found == mode)
            );
        }
    }

    #[test]
    fn a_key_that_does_not_decode_is_refused_and_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("identity.key");
        Identity::load_or_create(&path).unwrap();
        let whole = fs::read(&path).unwrap();
        let mut long = whole.clone();
        long.extend_from_slice(&[0; 1_000]);
        let short = whole[..whole.len() - 1].to_vec();
        for bytes in [Vec::new(), short, long, b"not a key".to_vec()] {
            fs::write(&path, &bytes).unwrap();
            let outcome = Identity::load_or_create(&path);
            assert!(matches!(outcome, Err(IdentityError::Corrupt { .. })), "{outcome:?}");
            assert_eq!(fs::read(&path).unwrap(), bytes);
        }
    }
}

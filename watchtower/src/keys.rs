//! Secrets at rest: the account's key encrypted in Web3 secret storage, a node's seed in a file that only its owner reads.
//!
//! Secrets never come from a command line, which every user of a machine can read, and are never printed: a password comes
//! from a file, from standard input or from one environment variable, and lives in memory that is overwritten.
//!
//! **Invariant:** no existing key file is ever overwritten.
//! **Invariant:** a secret is on disk, readable by its owner alone, before its public part is shown to anybody.

use std::fs::{File, OpenOptions, Permissions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use chain::account::{Account, AccountError};
use rand::RngCore as _;
use rand::rngs::OsRng;
use zeroize::{Zeroize as _, Zeroizing};

/// The environment variable that may hold the keystore's password.
pub const PASSWORD_VARIABLE: &str = "WATCHTOWER_KEYSTORE_PASSWORD";

/// The variable that may hold the key of a node's account itself, where there is no encrypted file: for containers whose secrets
/// come so. Towers do not read it.
pub const ACCOUNT_VARIABLE: &str = "WATCHTOWER_ACCOUNT_KEY";

/// The only permissions a file with a secret may have: read and write for its owner.
const PRIVATE: u32 = 0o600;

/// The most that is read from a password or seed file, in bytes.
const SECRET_FILE_BYTES_MAX: u64 = 1_024;

/// Why a key cannot be made, read or used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeysError {
    /// There is a file already.
    #[error(
        "{0} exists already, and keys are never overwritten: move it away, or choose another name"
    )]
    Exists(PathBuf),
    /// A file cannot be written or read.
    #[error("cannot use the file {path}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// There is no key file.
    #[error(
        "there is no key at {0}: make one with `watchtower keys new`, or bring one with `watchtower keys import`, with the same --data-dir"
    )]
    NoKey(PathBuf),
    /// The password does not open the file, or the file is damaged.
    #[error("the password does not open {path}, or the file is damaged: {reason}")]
    Locked {
        /// The file.
        path: PathBuf,
        /// What the decoder said.
        reason: String,
    },
    /// No password was given.
    #[error(
        "no password: put it into the variable {PASSWORD_VARIABLE}, or name a file that holds it"
    )]
    NoPassword,
    /// The password has fewer than eight characters.
    #[error("the password is too short: at least 8 characters")]
    ShortPassword,
    /// Other users can read a secret.
    #[error("{path} can be read by others (mode {mode:o}): chmod 600 {path}")]
    TooOpen {
        /// The file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// The file does not hold what it should.
    #[error("{path} does not hold {wanted}")]
    Content {
        /// The file.
        path: PathBuf,
        /// What it should hold.
        wanted: &'static str,
    },
    /// The bytes are no key.
    #[error("the file {path} holds no usable key")]
    NotAKey {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: AccountError,
    },
}

/// The keystore's password. Does not print, is overwritten when dropped.
#[derive(Clone)]
pub struct Password(Zeroizing<String>);

impl std::fmt::Debug for Password {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Password(..)")
    }
}

impl Password {
    /// Takes a password as it is; line ends around it are not part of it.
    #[must_use]
    pub fn new(mut text: String) -> Self {
        let password = Zeroizing::new(text.trim_matches(['\r', '\n']).to_owned());
        text.zeroize();
        Self(password)
    }

    /// From the file if one is named (`-` for standard input), else from the environment.
    ///
    /// # Errors
    /// When there is none, or others can read the file.
    pub fn find(file: Option<&Path>) -> Result<Self, KeysError> {
        match file {
            Some(path) if path == Path::new("-") => {
                let mut text = String::new();
                std::io::stdin()
                    .take(SECRET_FILE_BYTES_MAX)
                    .read_to_string(&mut text)
                    .map_err(|source| KeysError::File { path: path.to_owned(), source })?;
                Ok(Self::new(text))
            }
            Some(path) => Ok(Self::new(read_private(path)?)),
            None => match std::env::var(PASSWORD_VARIABLE) {
                Ok(text) => Ok(Self::new(text)),
                Err(_missing) => Err(KeysError::NoPassword),
            },
        }
    }
}

/// Makes a new account key and writes it encrypted.
///
/// # Errors
/// When the file exists or cannot be written, or the password is too short.
pub fn new_account(path: &Path, password: &Password) -> Result<Account, KeysError> {
    let mut secret = Zeroizing::new([0; 32]);
    loop {
        OsRng.fill_bytes(&mut *secret);
        // Zero and numbers above the group's order are no keys: once in 2^127.
        if Account::from_bytes(&secret).is_ok() {
            return store_account(path, &secret, password);
        }
    }
}

/// Takes a key, as 64 hexadecimal digits in a file, and writes it encrypted.
///
/// # Errors
/// When the file is readable by others or holds no key, or as [`new_account`].
pub fn import_account(from: &Path, path: &Path, password: &Password) -> Result<Account, KeysError> {
    let secret = read_hex(from, "a private key: 64 hexadecimal digits")?;
    store_account(path, &secret, password)
}

fn store_account(
    path: &Path,
    secret: &[u8; 32],
    password: &Password,
) -> Result<Account, KeysError> {
    if password.0.chars().count() < 8 {
        return Err(KeysError::ShortPassword);
    }
    let account = Account::from_bytes(secret)
        .map_err(|source| KeysError::NotAKey { path: path.to_owned(), source })?;
    let failed = |source| KeysError::File { path: path.to_owned(), source };
    let directory = parent(path);
    std::fs::create_dir_all(directory).map_err(failed)?;
    // The name is taken first, so that two runs at once cannot overwrite each other's key.
    let file = create_private(path)?;
    let unfinished = path.with_extension("unfinished");
    let name = unfinished.file_name().and_then(|name| name.to_str()).ok_or_else(|| {
        KeysError::Content { path: path.to_owned(), wanted: "a name in plain characters" }
    })?;
    eth_keystore::encrypt_key(directory, &mut OsRng, secret, password.0.as_bytes(), Some(name))
        .map_err(|error| failed(std::io::Error::other(error)))?;
    std::fs::set_permissions(&unfinished, Permissions::from_mode(PRIVATE)).map_err(failed)?;
    File::open(&unfinished).and_then(|file| file.sync_all()).map_err(failed)?;
    drop(file);
    std::fs::rename(&unfinished, path).map_err(failed)?;
    File::open(directory).and_then(|directory| directory.sync_all()).map_err(failed)?;
    Ok(account)
}

/// Opens the encrypted key.
///
/// # Errors
/// When there is none or the password is wrong.
pub fn open_account(path: &Path, password: &Password) -> Result<Account, KeysError> {
    if !path.exists() {
        return Err(KeysError::NoKey(path.to_owned()));
    }
    let locked = |reason: String| KeysError::Locked { path: path.to_owned(), reason };
    let secret = eth_keystore::decrypt_key(path, password.0.as_bytes())
        .map(Zeroizing::new)
        .map_err(|error| locked(error.to_string()))?;
    let secret: &[u8; 32] = secret
        .as_slice()
        .try_into()
        .map_err(|_length| locked(format!("{} bytes instead of 32", secret.len())))?;
    Account::from_bytes(secret)
        .map_err(|source| KeysError::NotAKey { path: path.to_owned(), source })
}

/// Makes the seed of a node's channel, session and identity keys.
///
/// # Errors
/// When the file exists or cannot be written.
pub fn new_seed(path: &Path) -> Result<(), KeysError> {
    let mut seed = Zeroizing::new([0; 32]);
    OsRng.fill_bytes(&mut *seed);
    store_seed(path, &seed)
}

/// Writes a seed into a file of its own.
///
/// # Errors
/// When the file exists or cannot be written.
pub fn store_seed(path: &Path, seed: &[u8; 32]) -> Result<(), KeysError> {
    let failed = |source| KeysError::File { path: path.to_owned(), source };
    std::fs::create_dir_all(parent(path)).map_err(failed)?;
    let digits = Zeroizing::new(alloy_primitives::hex::encode(seed));
    let mut file = create_private(path)?;
    file.write_all(digits.as_bytes()).and_then(|()| file.write_all(b"\n")).map_err(failed)?;
    file.sync_all().map_err(failed)?;
    File::open(parent(path)).and_then(|directory| directory.sync_all()).map_err(failed)
}

/// Reads a node's seed.
///
/// # Errors
/// When others can read the file, or it holds no seed.
pub fn read_seed(path: &Path) -> Result<Zeroizing<[u8; 32]>, KeysError> {
    read_hex(path, "a seed: 64 hexadecimal digits")
}

fn parent(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn create_private(path: &Path) -> Result<File, KeysError> {
    OpenOptions::new().write(true).create_new(true).mode(PRIVATE).open(path).map_err(|source| {
        if source.kind() == std::io::ErrorKind::AlreadyExists {
            KeysError::Exists(path.to_owned())
        } else {
            KeysError::File { path: path.to_owned(), source }
        }
    })
}

/// Whether a file with this mode and owner is for its reader alone. What manages secrets (a credential of systemd, a secret of
/// Kubernetes) keeps them as root's and lets a tower read them through the group or an access list, which shows as the group's
/// right to read: that much is allowed to files of root.
const fn is_private(mode: u32, owner: u32) -> bool {
    mode & 0o077 == 0 || (owner == 0 && mode & 0o037 == 0)
}

fn read_private(path: &Path) -> Result<String, KeysError> {
    let failed = |source| KeysError::File { path: path.to_owned(), source };
    let file = File::open(path).map_err(failed)?;
    let known = file.metadata().map_err(failed)?;
    let mode = known.permissions().mode() & 0o777;
    if !is_private(mode, known.uid()) {
        return Err(KeysError::TooOpen { path: path.to_owned(), mode });
    }
    let mut text = String::new();
    file.take(SECRET_FILE_BYTES_MAX).read_to_string(&mut text).map_err(failed)?;
    Ok(text)
}

fn read_hex(path: &Path, wanted: &'static str) -> Result<Zeroizing<[u8; 32]>, KeysError> {
    let text = Zeroizing::new(read_private(path)?);
    let digits = text.trim();
    let digits = digits.strip_prefix("0x").unwrap_or(digits);
    alloy_primitives::hex::decode_to_array(digits)
        .map(Zeroizing::new)
        .map_err(|_not_hex| KeysError::Content { path: path.to_owned(), wanted })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn password(text: &str) -> Password {
        Password::new(text.to_owned())
    }

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn an_account_is_encrypted_private_and_opens_with_its_password_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("keys/account.json");
        let made = new_account(&path, &password("correct horse\n")).unwrap();
        assert_eq!(mode(&path), PRIVATE);
        assert_eq!(
            open_account(&path, &password("correct horse")).unwrap().address(),
            made.address()
        );
        let wrong = open_account(&path, &password("correct horsf"));
        assert!(matches!(wrong, Err(KeysError::Locked { .. })), "{wrong:?}");
        let again = new_account(&path, &password("correct horse"));
        assert!(matches!(again, Err(KeysError::Exists(_))), "{again:?}");
        assert_eq!(
            open_account(&path, &password("correct horse")).unwrap().address(),
            made.address()
        );
        let none = open_account(&directory.path().join("other"), &password("correct horse"));
        assert!(matches!(none, Err(KeysError::NoKey(_))), "{none:?}");
        let short = new_account(&directory.path().join("third"), &password("short"));
        assert!(matches!(short, Err(KeysError::ShortPassword)), "{short:?}");
        assert!(!directory.path().join("third").exists());
    }

    #[test]
    fn a_damaged_key_file_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("account.json");
        std::fs::write(&path, "{}").unwrap();
        let refused = open_account(&path, &password("correct horse"));
        assert!(matches!(refused, Err(KeysError::Locked { .. })), "{refused:?}");
    }

    #[test]
    fn an_imported_key_is_that_key() {
        let directory = tempfile::tempdir().unwrap();
        let from = directory.path().join("plain");
        // The first account of the well-known development mnemonic.
        let key = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";
        std::fs::write(&from, key).unwrap();
        let path = directory.path().join("account.json");
        let open = import_account(&from, &path, &password("correct horse"));
        assert!(matches!(open, Err(KeysError::TooOpen { .. })), "{open:?}");
        std::fs::set_permissions(&from, Permissions::from_mode(PRIVATE)).unwrap();
        let account = import_account(&from, &path, &password("correct horse")).unwrap();
        assert_eq!(account.address().to_string(), "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266");
    }

    #[test]
    fn a_seed_is_private_and_never_overwritten() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("seed");
        new_seed(&path).unwrap();
        let seed = read_seed(&path).unwrap();
        assert_eq!(mode(&path), PRIVATE);
        assert!(matches!(new_seed(&path), Err(KeysError::Exists(_))));
        assert_eq!(read_seed(&path).unwrap(), seed);
        std::fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(read_seed(&path), Err(KeysError::TooOpen { mode: 0o644, .. })));
        std::fs::set_permissions(&path, Permissions::from_mode(PRIVATE)).unwrap();
        std::fs::write(&path, "not a seed").unwrap();
        assert!(matches!(read_seed(&path), Err(KeysError::Content { .. })));
    }

    #[test]
    fn the_group_may_read_a_secret_only_if_root_keeps_it() {
        let allowed = [(0o600, 1_000), (0o400, 1_000), (0o600, 0), (0o440, 0), (0o640, 0)];
        let refused =
            [(0o440, 1_000), (0o640, 1_000), (0o660, 0), (0o444, 0), (0o644, 0), (0o650, 0)];
        for (mode, owner) in allowed {
            assert!(is_private(mode, owner), "{mode:o} of {owner}");
        }
        for (mode, owner) in refused {
            assert!(!is_private(mode, owner), "{mode:o} of {owner}");
        }
    }

    #[test]
    fn a_password_does_not_print() {
        assert!(!format!("{:?}", password("correct horse")).contains("horse"));
    }
}

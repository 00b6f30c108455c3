//! A file belongs to one deployment and is what it was.

use alloy_primitives::Address;
use store::{Facts, Store, StoreError};

use crate::disk::{NO_LIMIT, backup, facts, slot};

fn made() -> (tempfile::TempDir, std::path::PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("tower.redb");
    drop(Store::open(&path, facts()).unwrap());
    (directory, path)
}

#[test]
fn the_store_of_another_chain_vault_or_account_is_refused_with_both_values() {
    let (_directory, path) = made();
    let others = [
        ("chain id", Facts { chain_id: 1, ..facts() }, "31337", "1"),
        ("vault", Facts { vipe: Address::repeat_byte(8), ..facts() }, "0x0707", "0x0808"),
        ("account", Facts { account: Address::repeat_byte(1), ..facts() }, "0x0909", "0x0101"),
    ];
    for (name, other, was, is) in others {
        match Store::open(&path, other) {
            Err(StoreError::WrongFact { fact, stored, configured }) => {
                assert_eq!(fact, name);
                assert!(stored.starts_with(was), "{stored}");
                assert!(configured.starts_with(is), "{configured}");
            }
            refused => panic!("{name}: {refused:?}"),
        }
    }
    assert!(Store::open(&path, facts()).is_ok(), "a refusal changes nothing");
}

#[test]
fn a_file_that_is_open_is_not_opened_twice() {
    let (_directory, path) = made();
    let first = Store::open(&path, facts()).unwrap();
    assert!(matches!(Store::open(&path, facts()), Err(StoreError::InUse { .. })));
    drop(first);
    assert!(Store::open(&path, facts()).is_ok());
}

#[test]
fn a_file_that_is_no_store_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("tower.redb");
    std::fs::write(&path, b"# a text file, longer than a database header would be\n".repeat(200))
        .unwrap();
    let refused = Store::open(&path, facts());
    assert!(matches!(refused, Err(StoreError::Corrupt { .. })), "{refused:?}");
}

#[tokio::test]
async fn damage_anywhere_in_the_file_never_changes_what_is_read() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("tower.redb");
    let store = Store::open(&path, facts()).unwrap();
    for number in 1..=64 {
        store.offer_backup(slot(number), backup(number, number), NO_LIMIT).await.unwrap();
    }
    drop(store);
    let whole = std::fs::read(&path).unwrap();
    let mut refused = 0;
    for place in (0..whole.len()).step_by(whole.len() / 97) {
        let mut damaged = whole.clone();
        for byte in &mut damaged[place..(place + 64).min(whole.len())] {
            *byte ^= 0x55;
        }
        std::fs::write(&path, &damaged).unwrap();
        // As after a crash; clean stops are in `clean_stop.rs`.
        let _ = std::fs::remove_file(directory.path().join("tower.redb.sums"));
        match Store::open(&path, facts()) {
            Ok(store) => {
                for number in 1..=64 {
                    assert_eq!(
                        store.backup(slot(number)).unwrap(),
                        Some(backup(number, number)),
                        "at {place}"
                    );
                }
            }
            Err(StoreError::Corrupt { .. } | StoreError::Row { .. }) => refused += 1,
            Err(error) => panic!("at {place}: {error}"),
        }
    }
    assert!(refused > 0, "some of the damage hit what is used");
}

#[test]
fn a_truncated_file_is_refused() {
    let (_directory, path) = made();
    let whole = std::fs::read(&path).unwrap();
    for keep in [1, 100, whole.len() / 2, whole.len() - 1] {
        std::fs::write(&path, &whole[..keep]).unwrap();
        let refused = Store::open(&path, facts());
        assert!(matches!(refused, Err(StoreError::Corrupt { .. })), "{keep} bytes: {refused:?}");
    }
}

#[test]
fn a_power_cut_while_the_file_is_made_leaves_no_half_store_in_the_way() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("tower.redb");
    std::fs::write(path.with_extension("unfinished"), b"half a header").unwrap();
    drop(Store::open(&path, facts()).unwrap());
    assert!(!path.with_extension("unfinished").exists());
    assert!(Store::open(&path, facts()).is_ok());
}

#[test]
fn an_existing_file_tells_what_it_belongs_to() {
    let (_directory, path) = made();
    assert_eq!(Store::open_existing(&path).unwrap().facts(), facts());
}

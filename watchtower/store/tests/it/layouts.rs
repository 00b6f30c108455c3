//! Files that an older program wrote.

use alloy_primitives::{Address, B256};
use protocol::Role;
use redb::{Database, TableDefinition};
use store::{Backup, LAYOUT, ReceiptRow, Slot, Store, StoreError};

use crate::disk::{NO_LIMIT, backup, facts, nonce, slot};

const FACTS: TableDefinition<'_, &str, &str> = TableDefinition::new("facts-1");
const BACKUPS_2: TableDefinition<'_, (u64, u8), &[u8]> = TableDefinition::new("backups-2");
const RECEIPTS_1: TableDefinition<'_, (u64, u8, [u8; 20]), &[u8]> =
    TableDefinition::new("receipts-1");

/// A row as layouts 2 and 3 had it.
fn old_row(backup: &Backup) -> Vec<u8> {
    [
        backup.nonce.get().to_be_bytes().as_slice(),
        backup.id.as_slice(),
        backup.identity.as_slice(),
        &backup.stored_at_ms.to_be_bytes(),
        &backup.stored_at_ms.to_be_bytes(),
        &backup.nonce.get().to_be_bytes(),
        &backup.envelope,
    ]
    .concat()
}

fn receipt(of: &Backup) -> ReceiptRow {
    let signature = vec![7; 64].into();
    ReceiptRow { nonce: of.nonce, envelope_id: of.id, until: 9, signature }
}

/// Makes a file of this layout, with these slots.
fn old_file(path: &std::path::Path, layout: u64, slots: &[(Slot, Backup)]) {
    let database = Database::create(path).unwrap();
    let write = database.begin_write().unwrap();
    {
        let mut table = write.open_table(FACTS).unwrap();
        for (name, value) in [
            ("layout", layout.to_string()),
            ("chain id", facts().chain_id.to_string()),
            ("vault", facts().vipe.to_string()),
            ("domain", facts().domain().to_string()),
            ("account", facts().account.to_string()),
        ] {
            table.insert(name, value.as_str()).unwrap();
        }
        let mut backups = write.open_table(BACKUPS_2).unwrap();
        let mut receipts = write.open_table(RECEIPTS_1).unwrap();
        for (slot, backup) in slots {
            let (channel, role) = (slot.channel_id.get(), slot.role.to_byte());
            backups.insert((channel, role), old_row(backup).as_slice()).unwrap();
            let row = serde_json::to_vec(&receipt(backup)).unwrap();
            receipts.insert((channel, role, [9; 20]), row.as_slice()).unwrap();
        }
    }
    write.commit().unwrap();
}

#[tokio::test]
async fn backups_and_receipts_of_older_layouts_are_moved_when_the_file_is_opened() {
    for layout in [2, 3] {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("tower.redb");
        let other = Slot { role: Role::Counterparty, ..slot(1) };
        let held = [
            (slot(1), Backup { identity: B256::repeat_byte(4), ..backup(1, 5) }),
            (other, Backup { identity: B256::repeat_byte(4), ..backup(1, 7) }),
            (slot(2), Backup { identity: B256::repeat_byte(8), ..backup(2, 6) }),
        ];
        old_file(&path, layout, &held);
        for _opened_again in 0..2 {
            let store = Store::open(&path, facts()).unwrap();
            for (slot, backup) in &held {
                assert_eq!(store.backup(*slot).unwrap().as_ref(), Some(backup));
                let kept = store.receipt(*slot, Address::repeat_byte(9)).unwrap();
                assert_eq!(kept, Some(receipt(backup)));
            }
            let tables = store.tables().unwrap();
            assert!(!tables.iter().any(|table| table.name == "backups-2"), "{tables:?}");
        }
        // And they go on from where they were.
        let store = Store::open(&path, facts()).unwrap();
        let older = Backup { identity: B256::repeat_byte(4), ..backup(1, 4) };
        let verdict = store.offer_backup(slot(1), older, NO_LIMIT).await.unwrap();
        assert_eq!(verdict, store::Verdict::Older { held: nonce(5) });
    }
}

#[test]
fn looking_at_an_older_file_changes_nothing_and_says_so() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("tower.redb");
    old_file(&path, 3, &[(slot(1), backup(1, 5))]);
    let refused = Store::open_existing(&path);
    let Err(StoreError::UnknownLayout { found: 3, known: LAYOUT }) = refused else {
        panic!("{refused:?}")
    };
    assert!(Store::open(&path, facts()).is_ok());
    assert!(Store::open_existing(&path).is_ok());
}

//! Files that an older program wrote.

use alloy_primitives::{Address, B256};
use protocol::Role;
use protocol::testing::Pair;
use redb::{Database, TableDefinition};
use store::{
    Backup, Change, ChannelRow, ChannelStatus, CursorRow, LAYOUT, ReceiptRow, Slot, Store,
    StoreError,
};

use crate::disk::{Disk, NO_LIMIT, backup, facts, nonce, open, slot};

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

#[tokio::test]
async fn a_backup_that_cannot_be_read_is_kept_aside_and_all_others_are_moved() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("tower.redb");
    let of = |number| Backup { identity: B256::repeat_byte(4), ..backup(number, 5) };
    old_file(&path, 2, &[(slot(1), of(1)), (slot(3), of(3))]);
    let database = Database::create(&path).unwrap();
    let write = database.begin_write().unwrap();
    {
        let mut backups = write.open_table(BACKUPS_2).unwrap();
        // Cut off, a nonce that is none, a role that is none, a channel that is none.
        backups.insert((2, 0), [7; 50].as_slice()).unwrap();
        backups.insert((2, 1), [0xff; 200].as_slice()).unwrap();
        backups.insert((3, 9), old_row(&of(3)).as_slice()).unwrap();
        backups.insert((0, 0), old_row(&of(4)).as_slice()).unwrap();
    }
    write.commit().unwrap();
    drop(database);
    let store = Store::open(&path, facts()).unwrap();
    for number in [1, 3] {
        assert_eq!(store.backup(slot(number)).unwrap(), Some(of(number)));
    }
    assert_eq!(store.backup(slot(2)).unwrap(), None);
    assert_eq!(store.set_aside().unwrap(), 4);
    // Its owner brings it again.
    store.offer_backup(slot(2), of(2), NO_LIMIT).await.unwrap();
    drop(store);
    let store = Store::open(&path, facts()).unwrap();
    assert_eq!(store.set_aside().unwrap(), 4);
    assert_eq!(store.backup(slot(2)).unwrap(), Some(of(2)));
}

const BACKUPS_3: TableDefinition<'_, (u64, u8), &[u8]> = TableDefinition::new("backups-3");
const IDENTITIES_1: TableDefinition<'_, u64, [u8; 32]> = TableDefinition::new("identities-1");
const RECEIPTS_2: TableDefinition<'_, (u64, u8, [u8; 20]), &[u8]> =
    TableDefinition::new("receipts-2");
const CHANNELS_1: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("channels-1");

/// A file of layout 4: a channel, its two backups, receipts of the tower's own account and of another.
fn file_of_layout_4(path: &std::path::Path, row: &ChannelRow, held: &[(Slot, Backup)]) {
    old_file(path, 4, &[]);
    let database = Database::create(path).unwrap();
    let write = database.begin_write().unwrap();
    write.delete_table(BACKUPS_2).unwrap();
    write.delete_table(RECEIPTS_1).unwrap();
    {
        let mut backups = write.open_table(BACKUPS_3).unwrap();
        let mut receipts = write.open_table(RECEIPTS_2).unwrap();
        for (slot, backup) in held {
            let (channel, role) = (slot.channel_id.get(), slot.role.to_byte());
            let old = old_row(backup);
            let bytes = [&old[..40], &old[72..]].concat();
            backups.insert((channel, role), bytes.as_slice()).unwrap();
            let receipt = [&old[..40], &9_u64.to_be_bytes(), &[7; 64]].concat();
            for tower in [facts().account, Address::repeat_byte(3)] {
                receipts.insert((channel, role, tower.into_array()), receipt.as_slice()).unwrap();
            }
        }
        let mut identities = write.open_table(IDENTITIES_1).unwrap();
        identities.insert(1, row.identity().0).unwrap();
        identities.insert(2, [8; 32]).unwrap();
        let mut channels = write.open_table(CHANNELS_1).unwrap();
        channels.insert(1, serde_json::to_vec(row).unwrap().as_slice()).unwrap();
    }
    write.commit().unwrap();
}

/// A channel and its two backups.
fn content() -> (ChannelRow, [(Slot, Backup); 2]) {
    let pair = Pair::with(1, |terms| terms.channel_id = slot(1).channel_id);
    let row = ChannelRow {
        channel: pair.channel,
        status: ChannelStatus::Live,
        accept_by: 1 << 40,
        opened_block: 3,
    };
    let other = Slot { role: Role::Counterparty, ..slot(1) };
    let of = |at| Backup { identity: row.identity(), ..backup(1, at) };
    let held = [(slot(1), of(5)), (other, of(7))];
    (row, held)
}

#[tokio::test]
async fn a_file_of_layout_4_keeps_channels_backups_and_others_receipts() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("tower.redb");
    let (row, held) = content();
    file_of_layout_4(&path, &row, &held);
    for _opened_again in 0..2 {
        let store = Store::open(&path, facts()).unwrap();
        assert_eq!(store.channel(slot(1).channel_id).unwrap().as_ref(), Some(&row));
        assert_eq!(store.channels(9).unwrap(), std::slice::from_ref(&row));
        assert_eq!(store.backups(9).unwrap(), held);
        for (slot, backup) in &held {
            assert_eq!(store.backup(*slot).unwrap().as_ref(), Some(backup));
            let head = store.held(*slot).unwrap().unwrap();
            assert_eq!(
                (head.nonce, head.id, head.identity),
                (backup.nonce, backup.id, backup.identity)
            );
            let kept = store.receipt(*slot, Address::repeat_byte(3)).unwrap();
            assert_eq!(kept, Some(receipt(backup)));
            assert_eq!(store.receipt(*slot, facts().account).unwrap(), None, "made when asked for");
        }
    }
    // Another channel's identity is remembered, too.
    let store = Store::open(&path, facts()).unwrap();
    let verdict = store.offer_backup(slot(2), backup(2, 6), NO_LIMIT).await.unwrap();
    assert_eq!(verdict, store::Verdict::OtherChannel);
    let old = ["backups-3", "identities-1", "channels-1"];
    let tables = store.tables().unwrap();
    assert!(!tables.iter().any(|table| old.contains(&table.name.as_str())), "{tables:?}");
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

#[tokio::test]
async fn a_move_that_is_cut_off_at_any_sync_or_by_a_full_disk_is_made_again_and_loses_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("tower.redb");
    let (row, held) = content();
    file_of_layout_4(&path, &row, &held);
    let file = std::fs::read(&path).unwrap();
    let is_whole = |disk: &Disk| {
        let store = open(disk).unwrap();
        assert_eq!(store.channels(9).unwrap(), std::slice::from_ref(&row));
        assert_eq!(store.backups(9).unwrap(), held);
        let kept = store.receipt(slot(1), Address::repeat_byte(3)).unwrap();
        assert_eq!(kept, Some(receipt(&held[0].1)));
    };
    let undisturbed = Disk::holding(file.clone());
    is_whole(&undisturbed);
    let syncs = undisturbed.platter().syncs;
    let mut failed = 0;
    for at in 1..=syncs {
        let disk = Disk::holding(file.clone());
        disk.platter().failing_sync = Some(at);
        failed += u32::from(open(&disk).is_err());
        for seed in 0..8 {
            is_whole(&disk.after_power_cut(seed));
        }
    }
    assert!(failed > 0, "no sync of the move failed: nothing was tried");
    let disk = Disk::holding(file);
    disk.platter().writes_refused = true;
    assert!(open(&disk).is_err());
    disk.platter().writes_refused = false;
    is_whole(&disk);
}

const HEADS_1: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("heads-1");

#[tokio::test]
async fn changes_that_meet_a_damaged_row_are_stored_together_or_not_at_all() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("tower.redb");
    let (row, _held) = content();
    drop(Store::open(&path, facts()).unwrap());
    let database = Database::create(&path).unwrap();
    let write = database.begin_write().unwrap();
    write.open_table(HEADS_1).unwrap().insert(1, [1, 2, 3].as_slice()).unwrap();
    write.commit().unwrap();
    drop(database);
    let store = Store::open(&path, facts()).unwrap();
    let cursor = || {
        let (number, hash, state) = (7, B256::repeat_byte(7), "{}".to_owned());
        Change::Cursor(CursorRow { number, hash, state })
    };
    let refused = store.commit(vec![cursor(), Change::Channel(Box::new(row))]).await;
    assert!(matches!(refused, Err(StoreError::Damaged { table: "heads-1", .. })), "{refused:?}");
    assert!(store.cursor().unwrap().is_none() && store.channels(9).unwrap().is_empty());
    // The store itself is well.
    store.commit(vec![cursor()]).await.unwrap();
    assert_eq!(store.cursor().unwrap().unwrap().number, 7);
}

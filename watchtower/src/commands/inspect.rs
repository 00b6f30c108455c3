//! `watchtower inspect`: what the store holds, one JSON object a line.

use serde_json::json;
use store::{Store, StoreError};

use crate::cli::Inspect;
use crate::commands::say;
use crate::config::{Config, ConfigError};
use crate::error::CommandError;

pub(crate) fn execute(config: &Config, what: Inspect, limit: usize) -> Result<(), CommandError> {
    let path = config.store_path();
    if !path.exists() {
        let reason = format!("holds no store: there is no {}", path.display());
        return Err(ConfigError::Invalid { key: "data_dir", reason }.into());
    }
    let store = Store::open_existing(&path)?;
    match what {
        Inspect::Facts => facts(&store),
        Inspect::Channels => lines(store.channels(limit)?),
        Inspect::Backups => backups(&store, limit),
        Inspect::Disputes => lines(store.disputes(limit)?),
        Inspect::Journal => journal(&store, limit),
        Inspect::Outbox => outbox(&store, limit),
    }
}

fn lines<T: serde::Serialize>(rows: Vec<T>) -> Result<(), CommandError> {
    for row in rows {
        say(json(&row)?)?;
    }
    Ok(())
}

fn json<T: serde::Serialize>(row: &T) -> Result<String, CommandError> {
    serde_json::to_string(row).map_err(|error| CommandError::System {
        what: "cannot write a row as JSON".to_owned(),
        source: std::io::Error::other(error),
    })
}

fn facts(store: &Store) -> Result<(), CommandError> {
    let facts = store.facts();
    let cursor =
        store.cursor()?.map(|cursor| json!({"number": cursor.number, "hash": cursor.hash}));
    say(json!({
        "chain_id": facts.chain_id,
        "vipe": facts.vipe,
        "domain": facts.domain(),
        "account": facts.account,
        "layout": store::LAYOUT,
        "cursor": cursor,
    }))
}

fn backups(store: &Store, limit: usize) -> Result<(), CommandError> {
    for (slot, backup) in store.backups(limit)? {
        let evidence = store.evidence(slot)?.map(|evidence| evidence.nonce);
        say(json!({
            "channel_id": slot.channel_id,
            "role": slot.role,
            "nonce": backup.nonce,
            "id": backup.id,
            "stored_at_ms": backup.stored_at_ms,
            "bytes": backup.envelope.len(),
            "signed_twice_at": evidence,
        }))?;
    }
    Ok(())
}

fn journal(store: &Store, limit: usize) -> Result<(), CommandError> {
    for dispute in store.disputes(limit)? {
        for step in store.journal(dispute.id)? {
            say(json!({"dispute": dispute.id, "step": step}))?;
        }
    }
    Ok(())
}

fn outbox(store: &Store, limit: usize) -> Result<(), CommandError> {
    for (name, body) in store.outbox()?.into_iter().take(limit) {
        let body: serde_json::Value = serde_json::from_slice(&body).map_err(|error| {
            CommandError::Store(StoreError::Row { table: "outbox-1", detail: error.to_string() })
        })?;
        say(json!({"name": name, "obligation": body}))?;
    }
    Ok(())
}

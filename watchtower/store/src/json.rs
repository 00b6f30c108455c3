//! Rows as JSON, with the table's name in every error.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::StoreError;

pub(crate) fn encode<T: Serialize>(table: &'static str, row: &T) -> Result<Vec<u8>, StoreError> {
    serde_json::to_vec(row).map_err(|error| StoreError::row(table, error))
}

pub(crate) fn decode<T: DeserializeOwned>(
    table: &'static str,
    row: &[u8],
) -> Result<T, StoreError> {
    serde_json::from_slice(row).map_err(|error| StoreError::row(table, error))
}

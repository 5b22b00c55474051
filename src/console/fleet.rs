//! The credentials that the console knows of.

use crate::wire::{CredentialId, CredentialRow};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// Rows by identifier.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Fleet {
    rows: Vec<CredentialRow>,
    #[serde(skip)]
    index: HashMap<CredentialId, u32>,
}

impl Fleet {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// One row, put together.
    pub fn get(&self, row: u32) -> Option<CredentialRow> {
        self.rows.get(row as usize).cloned()
    }

    /// The row of a credential.
    pub fn find(&self, id: CredentialId) -> Option<u32> {
        self.index.get(&id).copied()
    }

    /// Takes a row in, or over the one of the same identifier.
    pub fn upsert(&mut self, row: &CredentialRow) -> u32 {
        if let Some(&at) = self.index.get(&row.id) {
            self.rows[at as usize] = row.clone();
            return at;
        }
        let at = self.rows.len() as u32;
        self.index.insert(row.id, at);
        self.rows.push(row.clone());
        at
    }
}

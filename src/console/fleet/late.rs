//! Rows found by identifier where the identifiers do not ascend: row numbers alone, the identifiers stay in their column.

use crate::wire::CredentialId;

const EMPTY: u32 = u32::MAX;

/// Open addressing: a power of two of slots, half of them empty at least.
#[derive(Debug, Clone, Default)]
pub(super) struct Late {
    slots: Vec<u32>,
    held: usize,
}

impl Late {
    pub(super) fn is_empty(&self) -> bool {
        self.held == 0
    }

    /// The row of `id` among those that were put in. `ids` is the column.
    pub(super) fn find(&self, ids: &[CredentialId], id: CredentialId) -> Option<u32> {
        if self.slots.is_empty() {
            return None;
        }
        let mut slot = self.slot(id);
        loop {
            match self.slots[slot] {
                EMPTY => return None,
                row if ids[row as usize] == id => return Some(row),
                _ => slot = (slot + 1) & (self.slots.len() - 1),
            }
        }
    }

    /// Puts in a row that is in the column and not in here yet.
    pub(super) fn insert(&mut self, ids: &[CredentialId], row: u32) {
        self.held += 1;
        let wanted = (self.held * 2).next_power_of_two().max(64);
        if wanted > self.slots.len() {
            let held = std::mem::replace(&mut self.slots, vec![EMPTY; wanted]);
            for row in held.into_iter().filter(|row| *row != EMPTY) {
                self.enter(ids, row);
            }
        }
        self.enter(ids, row);
    }

    /// Bytes that it takes.
    pub(super) fn memory(&self) -> usize {
        self.slots.capacity() * 4
    }

    fn slot(&self, id: CredentialId) -> usize {
        // The lower half of an identifier is random already; the factor is for those that are not.
        let hash = (id.bits() as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (hash >> 20) as usize & (self.slots.len() - 1)
    }

    fn enter(&mut self, ids: &[CredentialId], row: u32) {
        let mut slot = self.slot(ids[row as usize]);
        while self.slots[slot] != EMPTY {
            slot = (slot + 1) & (self.slots.len() - 1);
        }
        self.slots[slot] = row;
    }
}

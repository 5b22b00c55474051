//! Whole lists as typed rows, a row at a time.

use std::marker::PhantomData;

use serde::de::DeserializeOwned;

use super::error::ClientError;
use super::list::Lines;
use crate::wire::ListHeader;

/// A whole list on its way: how many rows come, the state they were read from, and then the rows.
#[derive(Debug)]
pub struct Rows<T> {
    header: ListHeader,
    lines: Lines,
    read: u64,
    row: PhantomData<fn() -> T>,
}

impl<T: DeserializeOwned> Rows<T> {
    /// Reads the header line.
    ///
    /// # Errors
    /// [`ClientError::Decode`] when there is none.
    pub(super) async fn open(mut lines: Lines) -> Result<Self, ClientError> {
        let header = lines.next().await?.ok_or_else(|| ClientError::Decode {
            reason: "the list has no header line".to_owned(),
        })?;
        Ok(Self {
            header,
            lines,
            read: 0,
            row: PhantomData,
        })
    }

    /// How many rows there are, and the sequence to follow the stream from.
    pub fn header(&self) -> ListHeader {
        self.header
    }

    /// The next row; `None` after the last one.
    ///
    /// # Errors
    /// Anything that reading gives, and [`ClientError::Decode`] when the list is shorter or longer than
    /// its header said: half a list must never pass for a whole one.
    pub async fn next(&mut self) -> Result<Option<T>, ClientError> {
        let row = self.lines.next().await?;
        self.read += u64::from(row.is_some());
        let said = self.header.count;
        if self.read > said || (row.is_none() && self.read < said) {
            return Err(ClientError::Decode {
                reason: format!("the list says {said} rows and has another number of them"),
            });
        }
        Ok(row)
    }

    /// All rows that are left.
    ///
    /// # Errors
    /// As [`Rows::next`].
    pub async fn collect(mut self) -> Result<Vec<T>, ClientError> {
        // The count came over the wire: it may promise more than there is memory for.
        let mut rows = Vec::with_capacity(self.header.count.min(65_536) as usize);
        while let Some(row) = self.next().await? {
            rows.push(row);
        }
        Ok(rows)
    }
}

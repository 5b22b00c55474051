//! Long answers, read a piece at a time: raw bytes, or lines of JSON. Both are bounded.

use bytes::{Bytes, BytesMut};
use reqwest::Response;
use serde::de::DeserializeOwned;

use super::error::{ClientError, tame};

/// An answer's bytes as they come, decompressed, at most so many.
#[derive(Debug)]
pub struct Chunks {
    response: Response,
    origin: String,
    limit_bytes: u64,
    read_bytes: u64,
}

impl Chunks {
    pub(super) fn new(response: Response, origin: String, limit_bytes: u64) -> Self {
        Self {
            response,
            origin,
            limit_bytes,
            read_bytes: 0,
        }
    }

    /// The next piece; `None` at the proper end.
    ///
    /// # Errors
    /// [`ClientError::Interrupted`] when the answer stops half-way, [`ClientError::TooLarge`],
    /// [`ClientError::Timeout`] after too long a silence.
    pub async fn next(&mut self) -> Result<Option<Bytes>, ClientError> {
        if self.read_bytes == 0
            && let Some(length) = self.response.content_length()
            && length > self.limit_bytes
        {
            return Err(self.too_large());
        }
        let chunk = self
            .response
            .chunk()
            .await
            .map_err(|error| ClientError::from_reqwest(&self.origin, &error))?;
        if let Some(chunk) = &chunk {
            self.read_bytes = self.read_bytes.saturating_add(chunk.len() as u64);
            if self.read_bytes > self.limit_bytes {
                return Err(self.too_large());
            }
        }
        Ok(chunk)
    }

    /// Everything that is left, in one piece.
    ///
    /// # Errors
    /// As [`Chunks::next`].
    pub async fn read_to_end(mut self) -> Result<Bytes, ClientError> {
        let Some(first) = self.next().await? else {
            return Ok(Bytes::new());
        };
        let mut all = None;
        while let Some(chunk) = self.next().await? {
            all.get_or_insert_with(|| BytesMut::from(&first[..]))
                .extend_from_slice(&chunk);
        }
        Ok(all.map_or(first, BytesMut::freeze))
    }

    fn too_large(&self) -> ClientError {
        ClientError::TooLarge {
            limit_bytes: self.limit_bytes,
        }
    }
}

/// An answer as lines of JSON. The caller knows what each line is: the header first, then rows.
#[derive(Debug)]
pub struct Lines {
    chunks: Chunks,
    buffer: BytesMut,
    /// Up to here the buffer is known to hold no end of line.
    searched: usize,
    line_bytes: usize,
    number: u64,
}

impl Lines {
    pub(super) fn new(chunks: Chunks, line_bytes: usize) -> Self {
        Self {
            chunks,
            buffer: BytesMut::new(),
            searched: 0,
            line_bytes,
            number: 0,
        }
    }

    /// The next line as a value; `None` at the proper end. A last line without its end is an answer
    /// cut off, and an error.
    ///
    /// # Errors
    /// [`ClientError::Decode`] with the line's number, and everything that [`Chunks::next`] gives.
    pub async fn next<T: DeserializeOwned>(&mut self) -> Result<Option<T>, ClientError> {
        loop {
            if let Some(at) = memchr::memchr(b'\n', &self.buffer[self.searched..]) {
                let line = self.buffer.split_to(self.searched + at + 1);
                self.searched = 0;
                self.number += 1;
                return serde_json::from_slice(&line).map(Some).map_err(|error| {
                    ClientError::Decode {
                        reason: format!("line {}: {}", self.number, tame(&error.to_string())),
                    }
                });
            }
            self.searched = self.buffer.len();
            if self.buffer.len() > self.line_bytes {
                return Err(ClientError::TooLarge {
                    limit_bytes: self.line_bytes as u64,
                });
            }
            match self.chunks.next().await? {
                Some(chunk) => self.buffer.extend_from_slice(&chunk),
                None if self.buffer.is_empty() => return Ok(None),
                None => {
                    return Err(ClientError::Interrupted {
                        origin: self.chunks.origin.clone(),
                        reason: "the last line is not complete".to_owned(),
                    });
                }
            }
        }
    }
}

//! What is handed to an auditor: one JSON object a line. Entries are
//! `{"index":0,"leaf":"<base64>"}`, proofs `{"type":"inclusion",…}` and `{"type":"consistency",…}`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::Serialize;
use tokio::io::{AsyncWrite, AsyncWriteExt as _};

use super::log::{Log, ReadError};
use super::merkle::Hash;
use super::proof::{ConsistencyProof, InclusionProof};
use super::store::Store;

/// Leaves a read.
const CHUNK: u32 = 4096;

/// Why an export stopped.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The log could not be read.
    #[error("reading the log to export it")]
    Read(#[source] ReadError),
    /// The export could not be written.
    #[error("writing the export")]
    Write(#[source] std::io::Error),
}

/// One entry's line, with its newline.
pub fn entry_line(index: u64, leaf: &[u8]) -> String {
    format!(
        "{{\"index\":{index},\"leaf\":\"{}\"}}\n",
        BASE64.encode(leaf)
    )
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum ProofLine {
    Inclusion {
        index: u64,
        size: u64,
        hashes: Vec<String>,
    },
    Consistency {
        old: u64,
        new: u64,
        hashes: Vec<String>,
    },
}

impl ProofLine {
    fn print(&self) -> String {
        let json = serde_json::to_string(self).expect("numbers and strings have a JSON form");
        json + "\n"
    }
}

fn encode(hashes: &[Hash]) -> Vec<String> {
    hashes.iter().map(|hash| BASE64.encode(hash)).collect()
}

/// One inclusion proof's line, with its newline.
pub fn inclusion_line(proof: &InclusionProof) -> String {
    let InclusionProof {
        index,
        size,
        ref hashes,
    } = *proof;
    let hashes = encode(hashes);
    ProofLine::Inclusion {
        index,
        size,
        hashes,
    }
    .print()
}

/// One consistency proof's line, with its newline.
pub fn consistency_line(proof: &ConsistencyProof) -> String {
    let ConsistencyProof {
        old,
        new,
        ref hashes,
    } = *proof;
    let hashes = encode(hashes);
    ProofLine::Consistency { old, new, hashes }.print()
}

/// The lines of at most 4096 entries from `from` on, none at or beyond `end`; empty when there are
/// no more. The next call starts at the returned index.
pub async fn entries_chunk<S: Store>(
    log: &Log<S>,
    from: u64,
    end: u64,
) -> Result<(String, u64), ReadError> {
    let limit = end.saturating_sub(from).min(CHUNK.into()) as u32;
    let leaves = log.leaves(from, limit).await?;
    let mut lines = String::with_capacity(leaves.iter().map(|l| l.bytes.len() * 2 + 40).sum());
    for leaf in &leaves {
        lines.push_str(&entry_line(leaf.index, &leaf.bytes));
    }
    Ok((lines, from + leaves.len() as u64))
}

/// Writes the entries below `size`, in order, and flushes.
pub async fn write_entries<S: Store>(
    log: &Log<S>,
    size: u64,
    out: &mut (impl AsyncWrite + Unpin),
) -> Result<(), ExportError> {
    let mut at = 0;
    while at < size {
        let (lines, next) = entries_chunk(log, at, size)
            .await
            .map_err(ExportError::Read)?;
        if next == at {
            let asked = size;
            let size = at;
            return Err(ExportError::Read(ReadError::OutsideLog { asked, size }));
        }
        out.write_all(lines.as_bytes())
            .await
            .map_err(ExportError::Write)?;
        at = next;
    }
    out.flush().await.map_err(ExportError::Write)
}

/// Writes an inclusion proof in the tree of `size` leaves for each index, and a consistency proof to
/// it from each older size, and flushes.
pub async fn write_proofs<S: Store>(
    log: &Log<S>,
    size: u64,
    indices: &[u64],
    older: &[u64],
    out: &mut (impl AsyncWrite + Unpin),
) -> Result<(), ExportError> {
    let mut lines = String::new();
    for index in indices {
        let proof = log.inclusion_proof(*index, size).await;
        lines.push_str(&inclusion_line(&proof.map_err(ExportError::Read)?));
    }
    for old in older {
        let proof = log.consistency_proof(*old, size).await;
        lines.push_str(&consistency_line(&proof.map_err(ExportError::Read)?));
    }
    out.write_all(lines.as_bytes())
        .await
        .map_err(ExportError::Write)?;
    out.flush().await.map_err(ExportError::Write)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_in_the_exported_form() {
        assert_eq!(
            entry_line(3, b"hello"),
            "{\"index\":3,\"leaf\":\"aGVsbG8=\"}\n"
        );
        let a = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
        let inclusion = InclusionProof {
            index: 1,
            size: 2,
            hashes: vec![[0; 32]],
        };
        assert_eq!(
            inclusion_line(&inclusion),
            format!("{{\"type\":\"inclusion\",\"index\":1,\"size\":2,\"hashes\":[\"{a}\"]}}\n")
        );
        let consistency = ConsistencyProof {
            old: 0,
            new: 2,
            hashes: vec![],
        };
        assert_eq!(
            consistency_line(&consistency),
            "{\"type\":\"consistency\",\"old\":0,\"new\":2,\"hashes\":[]}\n"
        );
    }
}

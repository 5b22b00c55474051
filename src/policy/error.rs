//! Why a policy is not taken: always with the file, and with the line where there is one.

use std::path::PathBuf;

use super::{
    bundle::{MAX_BYTES, MAX_FILES},
    cases::Failure,
};

/// Why a policy was not loaded. Nothing was replaced.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    /// A file cannot be read.
    #[error("reading {}: {source}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// Longer than any policy should be.
    #[error(
        "the policy is {bytes} bytes in {files} files; at most {MAX_BYTES} bytes in {MAX_FILES} files are accepted"
    )]
    TooLong {
        /// Its size.
        bytes: usize,
        /// How many files.
        files: usize,
    },
    /// A file that is not what its name says.
    #[error("{name}:{line}: {reason}")]
    File {
        /// Which.
        name: String,
        /// From 1; 0 when it is about the whole file.
        line: usize,
        /// What would be accepted.
        reason: String,
    },
    /// Not valid Rego, or valid and unsafe (an undefined variable, an unknown function).
    #[error("{name}:{line}: the policy does not compile: {reason}")]
    Compile {
        /// The file.
        name: String,
        /// From 1; 0 when the compiler did not say.
        line: usize,
        /// The compiler's words.
        reason: String,
    },
    /// It compiles, but asks for what it may not have.
    #[error("{name}:{line}: {reason}")]
    Forbidden {
        /// The file.
        name: String,
        /// From 1.
        line: usize,
        /// What, and what would be accepted.
        reason: String,
    },
    /// It compiles, but its answer to an ordinary request cannot be used.
    #[error(
        "asked about an ordinary {kind} in {environment}, the policy gave no usable answer: {reason}"
    )]
    Unusable {
        /// The kind that was tried.
        kind: String,
        /// The environment that was tried.
        environment: String,
        /// What is wrong with the answer.
        reason: String,
    },
    /// It does not decide its own cases as they say.
    #[error("{} of its own {total} cases fail; the first: {}", failed.len(), failed[0])]
    Cases {
        /// Which, and how; never empty.
        failed: Vec<Failure>,
        /// How many there are.
        total: usize,
    },
}

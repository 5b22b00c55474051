//! The offline verifier: it has a verifier key, perhaps a checkpoint seen earlier, and what a server
//! hands out. It holds no store and believes nothing that it has not hashed.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use futures_util::{Stream, StreamExt as _};

use super::checkpoint::{Checkpoint, Head, NoteError, VerifierKey, parse_decimal};
use super::merkle::{Frontier, Hash, ProofError, leaf_hash, verify_consistency, verify_inclusion};

/// What verifying came to. All but [`Verdict::Whole`] say that something is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Everything offered is covered by the signed root, and continues what was pinned.
    Whole { size: u64, root: Hash },
    /// The checkpoint is not one of this log, signed by its key.
    BadSignature(NoteError),
    /// The log is smaller than it was.
    Rollback { pinned: u64, offered: u64 },
    /// Two signed roots for one size: the log shows different histories to different people.
    SplitView {
        size: u64,
        pinned: Hash,
        offered: Hash,
    },
    /// The pinned log is not a prefix of the offered one.
    Rewritten { pinned: u64, offered: u64 },
    /// The proof of growth has not the form that its sizes call for.
    BadProof(ProofError),
    /// This leaf is not where or what it is said to be.
    BadLeaf { index: u64 },
    /// Fewer leaves than the signed checkpoint covers.
    Truncated { have: u64, want: u64 },
    /// The leaves do not have the signed root.
    RootDiffers { size: u64 },
}

impl Verdict {
    /// Whether all is well.
    pub fn is_whole(&self) -> bool {
        matches!(self, Self::Whole { .. })
    }

    /// Whether two signed heads contradict each other, which is proof of tampering by itself, so
    /// that both are to be kept.
    pub fn is_contradiction(&self) -> bool {
        matches!(
            self,
            Self::Rollback { .. } | Self::SplitView { .. } | Self::Rewritten { .. }
        )
    }

    fn whole(head: Head) -> Self {
        Self::Whole {
            size: head.size,
            root: head.root,
        }
    }
}

/// A checkpoint whose signature, origin and size are in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Offer {
    /// Nothing was pinned: there is nothing to compare it with.
    First(Checkpoint),
    /// The pinned head again.
    Same(Checkpoint),
    /// The log says it has grown; [`check_growth`] proves it.
    Grown(Checkpoint),
}

impl Offer {
    /// The checkpoint.
    pub fn into_checkpoint(self) -> Checkpoint {
        let (Self::First(checkpoint) | Self::Same(checkpoint) | Self::Grown(checkpoint)) = self;
        checkpoint
    }
}

/// Checks a checkpoint by itself and against the pinned head. Sizes count before roots: a smaller
/// log is a rollback whatever its root.
pub fn judge(key: &VerifierKey, pinned: Option<Head>, note: &str) -> Result<Offer, Verdict> {
    let offered = key.open(note).map_err(Verdict::BadSignature)?;
    let Some(pinned) = pinned else {
        return Ok(Offer::First(offered));
    };
    if offered.head.size < pinned.size {
        return Err(Verdict::Rollback {
            pinned: pinned.size,
            offered: offered.head.size,
        });
    }
    if offered.head.size > pinned.size {
        return Ok(Offer::Grown(offered));
    }
    if offered.head.root == pinned.root {
        Ok(Offer::Same(offered))
    } else {
        Err(Verdict::SplitView {
            size: pinned.size,
            pinned: pinned.root,
            offered: offered.head.root,
        })
    }
}

/// Checks by a consistency proof that the pinned log is a prefix of the offered one.
pub fn check_growth(pinned: Head, offered: Head, proof: &[Hash]) -> Verdict {
    let consistent = verify_consistency(
        pinned.size,
        offered.size,
        &pinned.root,
        &offered.root,
        proof,
    );
    match consistent {
        Ok(()) => Verdict::whole(offered),
        Err(ProofError::OldRootDiffers | ProofError::RootDiffers) => Verdict::Rewritten {
            pinned: pinned.size,
            offered: offered.size,
        },
        Err(error) => Verdict::BadProof(error),
    }
}

/// What a console does on reconnecting: judge the checkpoint and, if the log has grown, fetch a
/// consistency proof (from the first size to the second) and check it. `Err` is the fetch's.
pub async fn verify_growth<E>(
    key: &VerifierKey,
    pinned: Option<Head>,
    note: &str,
    fetch: impl AsyncFnOnce(u64, u64) -> Result<Vec<Hash>, E>,
) -> Result<Verdict, E> {
    let offered = match judge(key, pinned, note) {
        Ok(offer) => offer.into_checkpoint().head,
        Err(verdict) => return Ok(verdict),
    };
    Ok(match pinned {
        Some(pinned) if pinned.size < offered.size => {
            // From the empty log everything is growth, and its proof is empty.
            let proof = if pinned.size == 0 {
                Vec::new()
            } else {
                fetch(pinned.size, offered.size).await?
            };
            check_growth(pinned, offered, &proof)
        }
        _ => Verdict::whole(offered),
    })
}

/// Checks leaves one by one against a signed checkpoint, as they arrive, and against every
/// checkpoint pinned before. Once it is through, [`Verifier::advance`] goes on to the next one.
#[derive(Clone, Debug)]
pub struct Verifier {
    key: VerifierKey,
    frontier: Frontier,
    target: Head,
    /// Heads still to be passed, smallest first, the target not among them.
    pins: Vec<Head>,
}

impl Verifier {
    /// Judges the checkpoint; then wants the leaves from the first on.
    pub fn new(key: VerifierKey, pinned: Option<Head>, note: &str) -> Result<Self, Verdict> {
        let target = judge(&key, pinned, note)?.into_checkpoint().head;
        let pins = pinned.into_iter().filter(|pin| pin.size < target.size);
        let mut verifier = Self {
            key,
            frontier: Frontier::new(),
            target,
            pins: pins.collect(),
        };
        verifier.pass_pins()?;
        Ok(verifier)
    }

    /// Goes on to a later checkpoint of the log. The leaves pushed so far stay checked.
    pub fn advance(&mut self, note: &str) -> Result<(), Verdict> {
        let target = judge(&self.key, Some(self.target), note)?;
        let target = target.into_checkpoint().head;
        if target.size > self.target.size {
            self.pins.push(std::mem::replace(&mut self.target, target));
            self.pass_pins()?;
        }
        Ok(())
    }

    /// The index of the leaf that is wanted next, which is how many were pushed.
    pub fn next_index(&self) -> u64 {
        self.frontier.size()
    }

    /// The checkpoint's head, up to which leaves are wanted.
    pub fn target(&self) -> Head {
        self.target
    }

    /// Checks the next leaf.
    pub fn push(&mut self, leaf: &[u8]) -> Result<(), Verdict> {
        self.push_hash(leaf_hash(leaf))
    }

    /// Checks a leaf that comes with its index and perhaps with a stated leaf hash, so that damage
    /// is found at the leaf and not only at the root.
    pub fn push_entry(
        &mut self,
        index: u64,
        leaf: &[u8],
        stated: Option<&Hash>,
    ) -> Result<(), Verdict> {
        let hash = leaf_hash(leaf);
        let expected = self.next_index();
        if index != expected || stated.is_some_and(|stated| *stated != hash) {
            return Err(Verdict::BadLeaf { index: expected });
        }
        self.push_hash(hash)
    }

    /// The verdict, once no more leaves come.
    pub fn verdict(&self) -> Verdict {
        let (have, want) = (self.next_index(), self.target.size);
        if have < want {
            Verdict::Truncated { have, want }
        } else if self.frontier.root() == self.target.root {
            Verdict::whole(self.target)
        } else {
            Verdict::RootDiffers { size: want }
        }
    }

    fn push_hash(&mut self, hash: Hash) -> Result<(), Verdict> {
        let index = self.next_index();
        if index >= self.target.size {
            return Err(Verdict::BadLeaf { index });
        }
        self.frontier.push(hash);
        self.pass_pins()
    }

    fn pass_pins(&mut self) -> Result<(), Verdict> {
        let size = self.frontier.size();
        while let Some(pin) = self.pins.first().filter(|pin| pin.size <= size) {
            if pin.size < size || pin.root != self.frontier.root() {
                return Err(Verdict::Rewritten {
                    pinned: pin.size,
                    offered: self.target.size,
                });
            }
            self.pins.remove(0);
        }
        Ok(())
    }
}

/// Runs a verifier over a stream of leaves to its verdict. `Err` is the stream's.
pub async fn verify_leaves<E>(
    mut verifier: Verifier,
    leaves: impl Stream<Item = Result<Vec<u8>, E>>,
) -> Result<Verdict, E> {
    let mut leaves = std::pin::pin!(leaves);
    while let Some(leaf) = leaves.next().await {
        if let Err(verdict) = verifier.push(&leaf?) {
            return Ok(verdict);
        }
    }
    Ok(verifier.verdict())
}

/// Why a receipt does not prove its leaf.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReceiptError {
    /// Not `c2sp.org/tlog-proof@v1` text.
    #[error("not a tlog-proof: {0}")]
    Malformed(&'static str),
    /// Its checkpoint is not one of this log.
    #[error("checking the receipt's checkpoint")]
    Checkpoint(#[source] NoteError),
    /// The leaf is not proved to be in the log.
    #[error("checking the receipt's proof")]
    Proof(#[source] ProofError),
}

/// Checks a leaf's receipt (`c2sp.org/tlog-proof@v1`) and tells its index and the checkpoint.
pub fn check_receipt(
    key: &VerifierKey,
    receipt: &str,
    leaf: &[u8],
) -> Result<(u64, Checkpoint), ReceiptError> {
    let malformed = ReceiptError::Malformed;
    let (proof, note) = receipt
        .split_once("\n\n")
        .ok_or(malformed("no checkpoint"))?;
    let mut lines = proof.lines();
    if lines.next() != Some("c2sp.org/tlog-proof@v1") {
        return Err(malformed("the first line"));
    }
    let line = lines.find(|line| !line.starts_with("extra "));
    let index = line
        .and_then(|line| line.strip_prefix("index "))
        .and_then(parse_decimal)
        .ok_or(malformed("the index"))?;
    let hashes = lines
        .map(|line| BASE64.decode(line).ok()?.try_into().ok())
        .collect::<Option<Vec<Hash>>>()
        .filter(|hashes| hashes.len() < 64)
        .ok_or(malformed("the hashes"))?;
    let checkpoint = key.open(note).map_err(ReceiptError::Checkpoint)?;
    let Head { size, root } = checkpoint.head;
    verify_inclusion(index, size, &leaf_hash(leaf), &hashes, &root).map_err(ReceiptError::Proof)?;
    Ok((index, checkpoint))
}

#[cfg(test)]
mod tests {
    use super::super::checkpoint::SigningKey;
    use super::*;

    fn key() -> SigningKey {
        SigningKey::from_seed("log.example/audit", &[1; 32]).unwrap()
    }

    fn leaf(n: u64) -> Vec<u8> {
        format!("leaf {n}").into_bytes()
    }

    fn head(size: u64) -> Head {
        let mut frontier = Frontier::new();
        for n in 0..size {
            frontier.push(leaf_hash(&leaf(n)));
        }
        Head {
            size,
            root: frontier.root(),
        }
    }

    fn note(head: Head) -> String {
        Checkpoint::sign(&key(), head).note
    }

    fn verifier(pinned: Option<Head>, offered: Head) -> Result<Verifier, Verdict> {
        Verifier::new(key().verifier_key().clone(), pinned, &note(offered))
    }

    fn push_all(verifier: &mut Verifier, leaves: impl IntoIterator<Item = u64>) -> Verdict {
        for n in leaves {
            if let Err(verdict) = verifier.push(&leaf(n)) {
                return verdict;
            }
        }
        verifier.verdict()
    }

    #[test]
    fn a_whole_log_is_whole_and_goes_on_growing() {
        let mut verifier = verifier(Some(head(7)), head(20)).unwrap();
        assert_eq!(push_all(&mut verifier, 0..20), Verdict::whole(head(20)));
        verifier.advance(&note(head(33))).unwrap();
        assert_eq!(
            verifier.verdict(),
            Verdict::Truncated { have: 20, want: 33 }
        );
        assert_eq!(push_all(&mut verifier, 20..33), Verdict::whole(head(33)));
    }

    #[test]
    fn tampering_has_its_verdicts() {
        let swapped = [0, 1, 3, 2, 4];
        let verdict = push_all(&mut verifier(None, head(5)).unwrap(), swapped);
        assert_eq!(verdict, Verdict::RootDiffers { size: 5 });
        let verdict = push_all(&mut verifier(None, head(5)).unwrap(), 0..4);
        assert_eq!(verdict, Verdict::Truncated { have: 4, want: 5 });
        let verdict = push_all(&mut verifier(None, head(5)).unwrap(), 0..6);
        assert_eq!(verdict, Verdict::BadLeaf { index: 5 });
        // A history rewritten before the pin is found at the pin, long before the end.
        let mut rewritten = verifier(Some(head(4)), head(9)).unwrap();
        let verdict = push_all(&mut rewritten, [0, 1, 3, 2]);
        assert_eq!(
            verdict,
            Verdict::Rewritten {
                pinned: 4,
                offered: 9
            }
        );
        assert!(verdict.is_contradiction());
    }

    #[test]
    fn an_entry_that_is_not_what_it_says_is_named() {
        let mut verifier = verifier(None, head(3)).unwrap();
        let stated = leaf_hash(&leaf(0));
        assert_eq!(verifier.push_entry(0, &leaf(0), Some(&stated)), Ok(()));
        let bad = Err(Verdict::BadLeaf { index: 1 });
        assert_eq!(verifier.push_entry(1, &leaf(1), Some(&stated)), bad);
        assert_eq!(verifier.push_entry(2, &leaf(2), None), bad);
    }

    #[test]
    fn heads_are_judged_by_size_before_root() {
        let vkey = key().verifier_key().clone();
        let judge = |pinned, offered: Head| judge(&vkey, Some(pinned), &note(offered));
        assert_eq!(
            judge(head(5), head(4)),
            Err(Verdict::Rollback {
                pinned: 5,
                offered: 4
            })
        );
        let other = Head {
            root: leaf_hash(b"other"),
            ..head(5)
        };
        assert!(matches!(
            judge(head(5), other),
            Err(Verdict::SplitView { size: 5, .. })
        ));
        assert!(matches!(judge(head(5), head(5)), Ok(Offer::Same(_))));
        assert!(matches!(judge(head(5), head(6)), Ok(Offer::Grown(_))));
        let stranger = SigningKey::from_seed("log.example/audit", &[2; 32]).unwrap();
        let forged = Checkpoint::sign(&stranger, head(6)).note;
        assert!(matches!(
            super::judge(&vkey, None, &forged),
            Err(Verdict::BadSignature(NoteError::NotSigned(_)))
        ));
    }
}

//! The hash tree of RFC 6962 over SHA-256: leaf and node hashes, the right edge of a growing tree,
//! and the checks of RFC 9162 sections 2.1.3.2 (inclusion) and 2.1.4.2 (consistency).

use aws_lc_rs::digest::{self, SHA256};

/// A SHA-256 value: a leaf hash, an inner node or a root.
pub type Hash = [u8; 32];

/// The root of the tree without leaves: SHA-256 of nothing.
pub const EMPTY_ROOT: Hash = [
    0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14, 0x9a, 0xfb, 0xf4, 0xc8, 0x99, 0x6f, 0xb9, 0x24,
    0x27, 0xae, 0x41, 0xe4, 0x64, 0x9b, 0x93, 0x4c, 0xa4, 0x95, 0x99, 0x1b, 0x78, 0x52, 0xb8, 0x55,
];

/// Leaves up to this length are hashed from a buffer on the stack, in one call.
const SHORT_LEAF: usize = 1023;

/// `SHA-256(0x00 || leaf)`.
pub fn leaf_hash(leaf: &[u8]) -> Hash {
    if leaf.len() <= SHORT_LEAF {
        let mut buffer = [0_u8; SHORT_LEAF + 1];
        buffer[1..=leaf.len()].copy_from_slice(leaf);
        return sha256(&buffer[..=leaf.len()]);
    }
    let mut context = digest::Context::new(&SHA256);
    context.update(&[0]);
    context.update(leaf);
    to_hash(context.finish())
}

/// `SHA-256(0x01 || left || right)`.
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    let mut buffer = [1_u8; 65];
    buffer[1..33].copy_from_slice(left);
    buffer[33..].copy_from_slice(right);
    sha256(&buffer)
}

/// Plain SHA-256, for key ids and the like.
pub(super) fn sha256(bytes: &[u8]) -> Hash {
    to_hash(digest::digest(&SHA256, bytes))
}

fn to_hash(digest: digest::Digest) -> Hash {
    digest.as_ref().try_into().expect("SHA-256 has 32 bytes")
}

/// Folds the hashes of neighbouring complete subtrees, tallest first, into the root over them all.
/// `None` for no hashes.
pub fn fold_right(hashes: &[Hash]) -> Option<Hash> {
    let (last, taller) = hashes.split_last()?;
    Some(
        taller
            .iter()
            .rev()
            .fold(*last, |right, left| node_hash(left, &right)),
    )
}

/// The root of a complete subtree from its `2^n` bottom hashes.
pub fn perfect_root(hashes: &[Hash]) -> Hash {
    debug_assert!(hashes.len().is_power_of_two());
    let mut frontier = Frontier::new();
    for hash in hashes {
        frontier.push(*hash);
    }
    frontier.root()
}

/// The right edge of a growing tree: one complete-subtree hash for each set bit of its size, so that
/// a leaf is added in amortised constant time and the root costs one hash a bit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frontier {
    size: u64,
    /// Tallest first.
    subtrees: Vec<Hash>,
}

impl Frontier {
    /// The edge of the empty tree.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many leaves the tree has.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Adds the hash of the next leaf.
    pub fn push(&mut self, leaf: Hash) {
        self.push_with(leaf, |_, _| {});
    }

    /// Adds the hash of the next leaf and tells each subtree that it completes, lowest first: its
    /// height (0 for the leaf itself) and its root.
    pub fn push_with(&mut self, leaf: Hash, mut completed: impl FnMut(u32, Hash)) {
        let mut hash = leaf;
        completed(0, hash);
        for height in 1..=self.size.trailing_ones() {
            let left = self.subtrees.pop().expect("one subtree for each set bit");
            hash = node_hash(&left, &hash);
            completed(height, hash);
        }
        self.subtrees.push(hash);
        self.size += 1;
    }

    /// The root of the tree.
    pub fn root(&self) -> Hash {
        fold_right(&self.subtrees).unwrap_or(EMPTY_ROOT)
    }
}

/// Why a proof does not show what it claims.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// The leaf index is not below the tree size.
    #[error("index {index} is outside a tree of {size}")]
    OutsideTree { index: u64, size: u64 },
    /// The newer tree is the smaller one.
    #[error("the tree shrank from {old} to {new}")]
    Shrank { old: u64, new: u64 },
    /// More or fewer hashes than the tree sizes call for.
    #[error("the proof has {got} hashes, which does not fit the tree")]
    WrongLength { got: usize },
    /// The hashes do not lead to the (new) root.
    #[error("the proof does not lead to the signed root")]
    RootDiffers,
    /// The hashes do not lead to the older root: history was rewritten.
    #[error("the proof does not lead to the older root: history was rewritten")]
    OldRootDiffers,
}

/// Checks that `leaf` is leaf number `index` of the tree of `size` leaves under `root`
/// (RFC 9162 section 2.1.3.2).
pub fn verify_inclusion(
    index: u64,
    size: u64,
    leaf: &Hash,
    proof: &[Hash],
    root: &Hash,
) -> Result<(), ProofError> {
    if index >= size {
        return Err(ProofError::OutsideTree { index, size });
    }
    let wrong_length = ProofError::WrongLength { got: proof.len() };
    let (mut node, mut last, mut hash) = (index, size - 1, *leaf);
    for sibling in proof {
        if last == 0 {
            return Err(wrong_length);
        }
        if node & 1 == 1 || node == last {
            hash = node_hash(sibling, &hash);
            climb_right_edge(&mut node, &mut last);
        } else {
            hash = node_hash(&hash, sibling);
        }
        node >>= 1;
        last >>= 1;
    }
    if last != 0 {
        return Err(wrong_length);
    }
    if hash != *root {
        return Err(ProofError::RootDiffers);
    }
    Ok(())
}

/// Checks that the tree of `old` leaves under `old_root` is a prefix of the tree of `new` leaves
/// under `new_root` (RFC 9162 section 2.1.4.2; sizes zero and equal as C2SP tlog-witness has them).
pub fn verify_consistency(
    old: u64,
    new: u64,
    old_root: &Hash,
    new_root: &Hash,
    proof: &[Hash],
) -> Result<(), ProofError> {
    let wrong_length = ProofError::WrongLength { got: proof.len() };
    if old > new {
        return Err(ProofError::Shrank { old, new });
    }
    if old == 0 || old == new {
        if !proof.is_empty() {
            return Err(wrong_length);
        }
        if old == 0 && *old_root != EMPTY_ROOT {
            return Err(ProofError::OldRootDiffers);
        }
        if old == new && old_root != new_root {
            return Err(ProofError::RootDiffers);
        }
        return Ok(());
    }
    // A complete older tree is itself the first node of the path.
    let (seed, path) = if old.is_power_of_two() {
        (*old_root, proof)
    } else {
        let (first, rest) = proof.split_first().ok_or(wrong_length)?;
        (*first, rest)
    };
    if proof.is_empty() {
        return Err(wrong_length);
    }
    let (mut node, mut last) = (old - 1, new - 1);
    while node & 1 == 1 {
        node >>= 1;
        last >>= 1;
    }
    let (mut old_hash, mut new_hash) = (seed, seed);
    for sibling in path {
        if last == 0 {
            return Err(wrong_length);
        }
        if node & 1 == 1 || node == last {
            old_hash = node_hash(sibling, &old_hash);
            new_hash = node_hash(sibling, &new_hash);
            climb_right_edge(&mut node, &mut last);
        } else {
            new_hash = node_hash(&new_hash, sibling);
        }
        node >>= 1;
        last >>= 1;
    }
    if last != 0 {
        return Err(wrong_length);
    }
    if old_hash != *old_root {
        return Err(ProofError::OldRootDiffers);
    }
    if new_hash != *new_root {
        return Err(ProofError::RootDiffers);
    }
    Ok(())
}

/// On the right edge, levels on which the node has no sibling are skipped.
fn climb_right_edge(node: &mut u64, last: &mut u64) {
    while *node & 1 == 0 && *node != 0 {
        *node >>= 1;
        *last >>= 1;
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in super::super) fn unhex(text: &str) -> Vec<u8> {
        (0..text.len())
            .step_by(2)
            .map(|i| u8::from_str_radix(&text[i..i + 2], 16).unwrap())
            .collect()
    }

    /// The eight-leaf tree that Certificate Transparency implementations test with.
    pub(in super::super) const CT_LEAVES: [&str; 8] = [
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    ];
    pub(in super::super) const CT_ROOTS: [&str; 9] = [
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    ];

    #[test]
    fn the_frontier_has_the_published_roots() {
        let mut frontier = Frontier::new();
        assert_eq!(frontier.root().to_vec(), unhex(CT_ROOTS[0]));
        for (leaf, root) in CT_LEAVES.iter().zip(&CT_ROOTS[1..]) {
            frontier.push(leaf_hash(&unhex(leaf)));
            assert_eq!(frontier.root().to_vec(), unhex(root));
        }
    }

    #[test]
    fn long_and_short_leaves_hash_alike() {
        for length in [0, 1, SHORT_LEAF - 1, SHORT_LEAF, SHORT_LEAF + 1, 65_535] {
            let leaf = vec![7_u8; length];
            let mut prefixed = vec![0_u8];
            prefixed.extend_from_slice(&leaf);
            assert_eq!(leaf_hash(&leaf), sha256(&prefixed), "length {length}");
        }
    }

    #[test]
    fn completed_subtrees_are_told_lowest_first() {
        let mut frontier = Frontier::new();
        let mut heights = Vec::new();
        for n in 0..4_u8 {
            frontier.push_with(leaf_hash(&[n]), |height, _| heights.push(height));
        }
        assert_eq!(heights, [0, 0, 1, 0, 0, 1, 2]);
    }

    #[test]
    fn degenerate_consistency_is_spelled_out() {
        let root = leaf_hash(b"a");
        assert_eq!(verify_consistency(0, 1, &EMPTY_ROOT, &root, &[]), Ok(()));
        assert_eq!(verify_consistency(1, 1, &root, &root, &[]), Ok(()));
        assert_eq!(
            verify_consistency(0, 1, &root, &root, &[]),
            Err(ProofError::OldRootDiffers)
        );
        assert_eq!(
            verify_consistency(1, 1, &root, &EMPTY_ROOT, &[]),
            Err(ProofError::RootDiffers)
        );
        assert_eq!(
            verify_consistency(2, 1, &root, &root, &[]),
            Err(ProofError::Shrank { old: 2, new: 1 })
        );
        assert_eq!(
            verify_consistency(1, 2, &root, &root, &[]),
            Err(ProofError::WrongLength { got: 0 })
        );
        assert_eq!(
            verify_inclusion(1, 1, &root, &[], &root),
            Err(ProofError::OutsideTree { index: 1, size: 1 })
        );
    }
}

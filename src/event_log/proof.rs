//! Making inclusion and consistency proofs. First a plan, which names the nodes it needs and so the
//! tiles that hold them; then, when those have been read, the hashes. The plan does no IO.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use super::merkle::{EMPTY_ROOT, Hash, fold_right, perfect_root};
use super::tiles::{TILE_HEIGHT, TILE_WIDTH, TileId};

/// That a leaf is in a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InclusionProof {
    /// The leaf's index.
    pub index: u64,
    /// The tree's size.
    pub size: u64,
    /// Leaf side first.
    pub hashes: Vec<Hash>,
}

/// That one tree is a prefix of another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsistencyProof {
    /// The older tree's size.
    pub old: u64,
    /// The newer tree's size.
    pub new: u64,
    /// In the order of RFC 9162.
    pub hashes: Vec<Hash>,
}

/// A complete subtree: the leaves `index * 2^height .. (index + 1) * 2^height`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Node {
    /// 0 for a leaf.
    pub height: u32,
    /// Which of the nodes of this height, from the left.
    pub index: u64,
}

impl Node {
    /// The tile in which this node can be computed.
    pub fn tile(self) -> TileId {
        let (level, within) = (self.height / TILE_HEIGHT, self.height % TILE_HEIGHT);
        TileId {
            level: level as u8,
            n: (self.index << within) / u64::from(TILE_WIDTH),
        }
    }

    /// The node's hash, from the hashes of [`Node::tile`]; `None` if the tile is too narrow.
    pub fn hash_from(self, tile: &[Hash]) -> Option<Hash> {
        let within = self.height % TILE_HEIGHT;
        let start = ((self.index << within) % u64::from(TILE_WIDTH)) as usize;
        tile.get(start..start + (1 << within)).map(perfect_root)
    }
}

/// What a proof is made of: for each of its hashes, the complete subtrees under it, left to right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProofPlan {
    hashes: Vec<Vec<Node>>,
}

impl ProofPlan {
    /// The path of leaf `index` in the tree of `size` leaves (RFC 6962 section 2.1.1), leaf side
    /// first. `None` unless `index < size`.
    pub fn inclusion(index: u64, size: u64) -> Option<Self> {
        if index >= size {
            return None;
        }
        let mut siblings = Vec::new();
        let mut tree = 0..size;
        while tree.end - tree.start > 1 {
            let middle = tree.start + split(tree.end - tree.start);
            if index < middle {
                siblings.push(middle..tree.end);
                tree = tree.start..middle;
            } else {
                siblings.push(tree.start..middle);
                tree = middle..tree.end;
            }
        }
        Some(Self::from_top(siblings))
    }

    /// The proof that the tree of `old` leaves is a prefix of that of `new` (RFC 6962 section
    /// 2.1.2); empty if `old` is 0 or `new`. `None` if `old > new`.
    pub fn consistency(old: u64, new: u64) -> Option<Self> {
        if old > new {
            return None;
        }
        let mut siblings = Vec::new();
        if old != 0 && old != new {
            let mut tree = 0..new;
            while tree.end != old {
                let middle = tree.start + split(tree.end - tree.start);
                if old <= middle {
                    siblings.push(middle..tree.end);
                    tree = tree.start..middle;
                } else {
                    siblings.push(tree.start..middle);
                    tree = middle..tree.end;
                }
            }
            // The verifier has the old root already when the old tree is that whole subtree.
            if tree.start != 0 {
                siblings.push(tree);
            }
        }
        Some(Self::from_top(siblings))
    }

    /// The root of the tree of `size` leaves, as a "proof" of one hash (none if `size` is 0).
    pub fn root(size: u64) -> Self {
        let whole = std::iter::once(0..size).filter(|leaves| !leaves.is_empty());
        Self::from_top(whole.collect())
    }

    fn from_top(ranges: Vec<Range<u64>>) -> Self {
        Self {
            hashes: ranges.into_iter().rev().map(complete_nodes).collect(),
        }
    }

    /// The tiles that [`ProofPlan::build`] will ask for.
    pub fn tiles(&self) -> BTreeSet<TileId> {
        self.hashes.iter().flatten().map(|n| n.tile()).collect()
    }

    /// The proof's hashes. `Err` names a tile that is missing or too narrow.
    pub fn build(&self, tiles: &BTreeMap<TileId, Vec<Hash>>) -> Result<Vec<Hash>, TileId> {
        self.hashes
            .iter()
            .map(|nodes| {
                let hashes = nodes
                    .iter()
                    .map(|node| {
                        let tile = tiles.get(&node.tile()).ok_or(node.tile())?;
                        node.hash_from(tile).ok_or(node.tile())
                    })
                    .collect::<Result<Vec<_>, _>>()?;
                Ok(fold_right(&hashes).unwrap_or(EMPTY_ROOT))
            })
            .collect()
    }
}

/// The largest power of two below `n`, for `n > 1`: where RFC 6962 splits a tree.
fn split(n: u64) -> u64 {
    1 << (n - 1).ilog2()
}

/// The complete subtrees over `leaves`, tallest first. The range must be one that splitting a tree
/// yields, so that its start is a multiple of each subtree's width.
fn complete_nodes(leaves: Range<u64>) -> Vec<Node> {
    let (mut at, mut nodes) = (leaves.start, Vec::new());
    while at < leaves.end {
        let height = (leaves.end - at).ilog2();
        debug_assert!(at.trailing_zeros() >= height);
        nodes.push(Node {
            height,
            index: at >> height,
        });
        at += 1 << height;
    }
    nodes
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::merkle::tests::{CT_LEAVES, unhex};
    use super::super::merkle::{Frontier, leaf_hash, verify_consistency, verify_inclusion};
    use super::super::tiles::Tree;
    use super::*;

    type Grown = (BTreeMap<TileId, Vec<Hash>>, Vec<Hash>);

    /// All tiles of a tree, the incomplete ones too, and the root at every size.
    fn grow(leaves: impl Iterator<Item = Hash>) -> Grown {
        let (mut tree, mut frontier) = (Tree::new(), Frontier::new());
        let (mut tiles, mut roots) = (BTreeMap::new(), vec![EMPTY_ROOT]);
        for leaf in leaves {
            tree.push(leaf, &mut |tile| {
                tiles.insert(tile.id, tile.hashes);
            });
            frontier.push(leaf);
            assert_eq!(tree.root(), frontier.root());
            roots.push(frontier.root());
        }
        for (id, hashes) in tree.edge() {
            tiles.insert(id, hashes.to_vec());
        }
        (tiles, roots)
    }

    #[test]
    fn proofs_in_the_published_tree() {
        let (tiles, _) = grow(CT_LEAVES.iter().map(|leaf| leaf_hash(&unhex(leaf))));
        let heads = |plan: ProofPlan| -> Vec<Vec<u8>> {
            let hashes = plan.build(&tiles).unwrap();
            hashes.iter().map(|hash| hash[..4].to_vec()).collect()
        };
        let want: Vec<_> = ["bc1a0643", "ca854ea1", "d37ee418"].map(unhex).into();
        assert_eq!(heads(ProofPlan::inclusion(5, 8).unwrap()), want);
        let want: Vec<_> = ["0ebc5d34", "ca854ea1", "d37ee418"].map(unhex).into();
        assert_eq!(heads(ProofPlan::consistency(6, 8).unwrap()), want);
    }

    #[test]
    fn every_proof_of_small_trees_verifies() {
        let hashes: Vec<_> = (0..70_u8).map(|n| leaf_hash(&[n])).collect();
        let (tiles, roots) = grow(hashes.iter().copied());
        for size in 1..=70_u64 {
            let root = &roots[size as usize];
            for index in 0..size {
                let proof = ProofPlan::inclusion(index, size).unwrap();
                let proof = proof.build(&tiles).unwrap();
                let leaf = &hashes[index as usize];
                assert_eq!(verify_inclusion(index, size, leaf, &proof, root), Ok(()));
            }
            for old in 0..=size {
                let proof = ProofPlan::consistency(old, size).unwrap();
                let proof = proof.build(&tiles).unwrap();
                let old_root = &roots[old as usize];
                assert_eq!(
                    verify_consistency(old, size, old_root, root, &proof),
                    Ok(())
                );
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// Sizes that cross two tile levels; then one flipped bit anywhere, one hash too many or too few.
        #[test]
        fn proofs_verify_and_spoiled_ones_do_not(
            size in 1_u64..70_000, at in any::<prop::sample::Index>(), bit in any::<prop::sample::Index>()
        ) {
            static GROWN: std::sync::LazyLock<Grown> =
                std::sync::LazyLock::new(|| grow((0..70_000_u32).map(|n| leaf_hash(&n.to_be_bytes()))));
            let (tiles, roots) = &*GROWN;
            let index = at.index(size as usize) as u64;
            let (root, leaf) = (roots[size as usize], leaf_hash(&(index as u32).to_be_bytes()));
            prop_assert_eq!(ProofPlan::root(size).build(tiles).unwrap(), vec![root]);

            let proof = ProofPlan::inclusion(index, size).unwrap().build(tiles).unwrap();
            prop_assert_eq!(verify_inclusion(index, size, &leaf, &proof, &root), Ok(()));
            for spoiled in spoil(&proof, bit) {
                prop_assert!(verify_inclusion(index, size, &leaf, &spoiled, &root).is_err());
            }
            prop_assert!(verify_inclusion(index, size, &flip(leaf, bit), &proof, &root).is_err());
            prop_assert!(verify_inclusion(index, size, &leaf, &proof, &flip(root, bit)).is_err());

            let (old, old_root) = (index, roots[index as usize]);
            let proof = ProofPlan::consistency(old, size).unwrap().build(tiles).unwrap();
            prop_assert_eq!(verify_consistency(old, size, &old_root, &root, &proof), Ok(()));
            for spoiled in spoil(&proof, bit) {
                prop_assert!(verify_consistency(old, size, &old_root, &root, &spoiled).is_err());
            }
            prop_assert!(verify_consistency(old, size, &flip(old_root, bit), &root, &proof).is_err());
            if old != 0 {
                prop_assert!(verify_consistency(old, size, &old_root, &flip(root, bit), &proof).is_err());
            }
        }
    }

    fn flip(mut hash: Hash, bit: prop::sample::Index) -> Hash {
        let bit = bit.index(256);
        hash[bit / 8] ^= 1 << (bit % 8);
        hash
    }

    /// The proof with a bit flipped in each of its hashes in turn, with a hash more, and with one less.
    fn spoil(proof: &[Hash], bit: prop::sample::Index) -> Vec<Vec<Hash>> {
        let mut spoiled = vec![[proof, &[EMPTY_ROOT]].concat()];
        if !proof.is_empty() {
            spoiled.push(proof[..proof.len() - 1].to_vec());
        }
        for n in 0..proof.len() {
            let mut one = proof.to_vec();
            one[n] = flip(one[n], bit);
            spoiled.push(one);
        }
        spoiled
    }
}

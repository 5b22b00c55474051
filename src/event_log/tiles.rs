//! C2SP tlog-tiles: the tree cut into tiles of 256 hashes, their paths and bytes, and bundles of
//! leaves. `Tree` is the growing tree as the log keeps it: a frontier and the incomplete tiles.

use std::fmt;
use std::str::FromStr;

use super::merkle::{Frontier, Hash};

/// Levels of the hash tree that one level of tiles spans.
pub const TILE_HEIGHT: u32 = 8;
/// Hashes in a complete tile, leaves in a complete bundle.
pub const TILE_WIDTH: u16 = 1 << TILE_HEIGHT;
/// The longest leaf: a bundle gives its length in two bytes.
pub const MAX_LEAF: usize = u16::MAX as usize;

/// Which tile: its hashes are the nodes of height `8 * level`, from `256 * n` on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TileId {
    /// 0 for leaf hashes.
    pub level: u8,
    /// Which tile of the level, from the left.
    pub n: u64,
}

impl TileId {
    /// How many hashes the tile has in a tree of `size` leaves, at most 256.
    pub fn width_at(self, size: u64) -> u16 {
        let nodes = size
            .checked_shr(TILE_HEIGHT * u32::from(self.level))
            .unwrap_or(0);
        nodes
            .saturating_sub(self.n.saturating_mul(u64::from(TILE_WIDTH)))
            .min(u64::from(TILE_WIDTH)) as u16
    }
}

/// A tile with its hashes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tile {
    /// Which one.
    pub id: TileId,
    /// 1 to 256 hashes; 256 in a complete tile.
    pub hashes: Vec<Hash>,
}

impl Tile {
    /// The bytes that are served: the hashes, one after the other.
    pub fn to_bytes(hashes: &[Hash]) -> Vec<u8> {
        hashes.concat()
    }

    /// Reads served bytes back. `None` unless they are 1 to 256 whole hashes.
    pub fn from_bytes(bytes: &[u8]) -> Option<Vec<Hash>> {
        let (hashes, rest) = bytes.as_chunks::<32>();
        let fits = rest.is_empty() && (1..=usize::from(TILE_WIDTH)).contains(&hashes.len());
        fits.then(|| hashes.to_vec())
    }
}

/// A growing tree: its frontier, and at each level the tile that is not complete yet.
#[derive(Clone, Debug, Default)]
pub struct Tree {
    frontier: Frontier,
    /// By level; below 256 hashes each.
    edge: Vec<Vec<Hash>>,
}

impl Tree {
    /// The tree without leaves.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many leaves.
    pub fn size(&self) -> u64 {
        self.frontier.size()
    }

    /// The root over all leaves.
    pub fn root(&self) -> Hash {
        self.frontier.root()
    }

    /// Adds a leaf's hash and hands over each tile that it completes.
    pub fn push(&mut self, leaf: Hash, completed: &mut impl FnMut(Tile)) {
        let Self { frontier, edge } = self;
        let index = frontier.size();
        frontier.push_with(leaf, |height, hash| {
            if height % TILE_HEIGHT != 0 {
                return;
            }
            let level = (height / TILE_HEIGHT) as usize;
            if edge.len() == level {
                edge.push(Vec::with_capacity(usize::from(TILE_WIDTH)));
            }
            edge[level].push(hash);
            if edge[level].len() == usize::from(TILE_WIDTH) {
                let hashes = std::mem::replace(
                    &mut edge[level],
                    Vec::with_capacity(usize::from(TILE_WIDTH)),
                );
                let n = (index >> height) / u64::from(TILE_WIDTH);
                let level = level as u8;
                completed(Tile {
                    id: TileId { level, n },
                    hashes,
                });
            }
        });
    }

    /// The incomplete tiles that have any hashes, by level.
    pub fn edge(&self) -> impl Iterator<Item = (TileId, &[Hash])> {
        let size = self.size();
        self.edge
            .iter()
            .enumerate()
            .filter_map(move |(level, hashes)| {
                let level = level as u8;
                let n = (size >> (TILE_HEIGHT * u32::from(level))) / u64::from(TILE_WIDTH);
                (!hashes.is_empty()).then_some((TileId { level, n }, hashes.as_slice()))
            })
    }

    /// The incomplete tile `id`, if it is the incomplete one of its level.
    pub fn edge_tile(&self, id: TileId) -> Option<&[Hash]> {
        self.edge().find(|(edge, _)| *edge == id).map(|(_, h)| h)
    }
}

/// Appends one leaf to a bundle: its length in two bytes, big-endian, then its bytes.
/// `false`, and nothing appended, if it is longer than [`MAX_LEAF`].
pub fn push_bundle_entry(bundle: &mut Vec<u8>, leaf: &[u8]) -> bool {
    let Ok(length) = u16::try_from(leaf.len()) else {
        return false;
    };
    bundle.extend_from_slice(&length.to_be_bytes());
    bundle.extend_from_slice(leaf);
    true
}

/// The leaves of a bundle. `None` if it is cut short.
pub fn parse_bundle(mut bundle: &[u8]) -> Option<Vec<&[u8]>> {
    let mut leaves = Vec::new();
    while !bundle.is_empty() {
        let (length, rest) = bundle.split_first_chunk::<2>()?;
        let (leaf, rest) = rest.split_at_checked(u16::from_be_bytes(*length).into())?;
        leaves.push(leaf);
        bundle = rest;
    }
    Some(leaves)
}

/// What is under `tile/`: hashes of a level, or bundles of leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TileKind {
    /// Hashes of this level, at most 63.
    Hashes(u8),
    /// Leaves, `tile/entries/…`.
    Entries,
}

/// What follows `tile/` in a request: `0/x001/x234/067`, `entries/000.p/3`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TilePath {
    /// Hashes or leaves.
    pub kind: TileKind,
    /// Which tile of its kind, from the left.
    pub n: u64,
    /// 1 to 255 for a partial tile, 256 for a complete one.
    pub width: u16,
}

impl fmt::Display for TilePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            TileKind::Hashes(level) => write!(f, "{level}")?,
            TileKind::Entries => f.write_str("entries")?,
        }
        let mut groups = vec![self.n % 1000];
        let mut rest = self.n / 1000;
        while rest > 0 {
            groups.push(rest % 1000);
            rest /= 1000;
        }
        for (place, group) in groups.iter().enumerate().rev() {
            let more = if place > 0 { "x" } else { "" };
            write!(f, "/{more}{group:03}")?;
        }
        if self.width < TILE_WIDTH {
            write!(f, ".p/{}", self.width)?;
        }
        Ok(())
    }
}

/// The text is not a tile's path in its only spelling.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a tile path")]
pub struct TilePathError;

impl FromStr for TilePath {
    type Err = TilePathError;

    fn from_str(text: &str) -> Result<Self, TilePathError> {
        let (kind, rest) = text.split_once('/').ok_or(TilePathError)?;
        let kind = match kind {
            "entries" => TileKind::Entries,
            level => TileKind::Hashes(level.parse().map_err(|_| TilePathError)?),
        };
        let (groups, width) = match rest.split_once(".p/") {
            Some((groups, width)) => (groups, width.parse().map_err(|_| TilePathError)?),
            None => (rest, TILE_WIDTH),
        };
        let mut n: u64 = 0;
        for group in groups.split('/') {
            let digits: u64 = group
                .trim_start_matches('x')
                .parse()
                .map_err(|_| TilePathError)?;
            n = n
                .checked_mul(1000)
                .and_then(|n| n.checked_add(digits))
                .ok_or(TilePathError)?;
        }
        let path = Self { kind, n, width };
        let in_range = matches!(kind, TileKind::Entries | TileKind::Hashes(0..=63))
            && (1..=TILE_WIDTH).contains(&width);
        // One spelling each: whatever we would not have printed ourselves is refused.
        if in_range && path.to_string() == text {
            Ok(path)
        } else {
            Err(TilePathError)
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn paths_are_spelled_as_the_specification_does() {
        let hashes = |level, n, width| TilePath {
            kind: TileKind::Hashes(level),
            n,
            width,
        };
        let cases = [
            ("0/x001/x234/067", hashes(0, 1_234_067, 256)),
            ("0/000.p/3", hashes(0, 0, 3)),
            ("3/x001/000", hashes(3, 1000, 256)),
            (
                "entries/x001/x234/067.p/255",
                TilePath {
                    kind: TileKind::Entries,
                    n: 1_234_067,
                    width: 255,
                },
            ),
        ];
        for (text, path) in cases {
            assert_eq!(path.to_string(), text);
            assert_eq!(text.parse(), Ok(path));
        }
    }

    #[test]
    fn other_spellings_are_refused() {
        for text in [
            "",
            "0",
            "0/",
            "0/0",
            "0/00",
            "00/000",
            "+0/000",
            "64/000",
            "256/000",
            "0/x000/001",
            "0/001/002",
            "0/x001",
            "0/xx01",
            "0/000.p/0",
            "0/000.p/256",
            "0/000.p/01",
            "0/000.p",
            "0/000.p/3/",
            "0/-01",
            "data/000",
            "0/x999/x999/x999/x999/x999/x999/x999/999",
        ] {
            assert_eq!(text.parse::<TilePath>(), Err(TilePathError), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn paths_round_trip(level in 0_u8..64, n in any::<u64>(), width in 1_u16..=256, entries: bool) {
            let kind = if entries { TileKind::Entries } else { TileKind::Hashes(level) };
            let path = TilePath { kind, n, width };
            prop_assert_eq!(path.to_string().parse(), Ok(path));
        }

        #[test]
        fn bundles_round_trip(leaves in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..400), 0..20)) {
            let mut bundle = Vec::new();
            for leaf in &leaves {
                prop_assert!(push_bundle_entry(&mut bundle, leaf));
            }
            prop_assert_eq!(parse_bundle(&bundle).unwrap(), leaves.clone());
            if !leaves.is_empty() {
                prop_assert_ne!(parse_bundle(&bundle[..bundle.len() - 1]).map(|l| l.len()), Some(leaves.len()));
            }
        }
    }

    #[test]
    fn a_leaf_that_has_no_place_in_a_bundle_is_refused() {
        let mut bundle = Vec::new();
        assert!(push_bundle_entry(&mut bundle, &vec![0; MAX_LEAF]));
        assert!(!push_bundle_entry(&mut bundle, &vec![0; MAX_LEAF + 1]));
        assert_eq!(bundle.len(), MAX_LEAF + 2);
    }

    #[test]
    fn widths_follow_the_size() {
        let id = |level, n| TileId { level, n };
        assert_eq!(id(0, 0).width_at(0), 0);
        assert_eq!(id(0, 0).width_at(255), 255);
        assert_eq!(id(0, 0).width_at(70_000), 256);
        assert_eq!(id(0, 273).width_at(70_000), 112);
        assert_eq!(id(1, 1).width_at(70_000), 17);
        assert_eq!(id(2, 0).width_at(70_000), 1);
        assert_eq!(id(63, u64::MAX).width_at(u64::MAX), 0);
    }
}

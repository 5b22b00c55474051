//! Columns of numbers in six bytes each: at a million rows every byte of a row is a megabyte.

use super::NEVER;

/// The largest number that fits.
const MAX: u64 = (1 << 48) - 1;
/// Where times begin: 1900, in milliseconds. They end in the year 10819.
const FIRST: i64 = -2_208_988_800_000;

/// Numbers below 2^48; larger ones are taken for the largest. No log will have so many leaves.
#[derive(Debug, Clone, Default)]
pub(super) struct Numbers(Vec<[u8; 6]>);

/// Milliseconds, or [`NEVER`]. A time that does not fit is taken for the first or the last that does.
#[derive(Debug, Clone, Default)]
pub(super) struct Times(Numbers);

fn narrow(number: u64) -> [u8; 6] {
    let [low @ .., _, _] = number.min(MAX).to_le_bytes();
    low
}

impl Numbers {
    pub(super) fn get(&self, at: usize) -> u64 {
        let mut wide = [0; 8];
        wide[..6].copy_from_slice(&self.0[at]);
        u64::from_le_bytes(wide)
    }

    /// Whether it was another one.
    pub(super) fn set(&mut self, at: usize, number: u64) -> bool {
        let number = narrow(number);
        std::mem::replace(&mut self.0[at], number) != number
    }

    pub(super) fn push(&mut self, number: u64) {
        self.0.push(narrow(number));
    }

    pub(super) fn reserve_exact(&mut self, more: usize) {
        self.0.reserve_exact(more);
    }

    /// Bytes that it takes, spare room included.
    pub(super) fn memory(&self) -> usize {
        self.0.capacity() * 6
    }
}

fn shifted(millis: i64) -> u64 {
    match millis {
        NEVER => MAX,
        _ => (millis.saturating_sub(FIRST).max(0) as u64).min(MAX - 1),
    }
}

impl Times {
    pub(super) fn get(&self, at: usize) -> i64 {
        match self.0.get(at) {
            MAX => NEVER,
            shifted => shifted as i64 + FIRST,
        }
    }

    /// Whether it was another one.
    pub(super) fn set(&mut self, at: usize, millis: i64) -> bool {
        self.0.set(at, shifted(millis))
    }

    pub(super) fn push(&mut self, millis: i64) {
        self.0.push(shifted(millis));
    }

    pub(super) fn reserve_exact(&mut self, more: usize) {
        self.0.reserve_exact(more);
    }

    /// Bytes that they take, spare room included.
    pub(super) fn memory(&self) -> usize {
        self.0.memory()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fits_comes_back_and_what_does_not_is_the_nearest_that_does() {
        let mut times = Times::default();
        let last = MAX as i64 - 1 + FIRST;
        for (millis, expected) in [
            (0, 0),
            (-1, -1),
            (1_790_692_327_123, 1_790_692_327_123),
            (253_402_300_799_999, 253_402_300_799_999),
            (NEVER, NEVER),
            (NEVER - 1, last),
            (i64::MIN, FIRST),
        ] {
            times.push(millis);
            assert_eq!(times.get(times.0.0.len() - 1), expected);
        }
        assert!(times.set(0, 7));
        assert!(!times.set(0, 7));
        let mut numbers = Numbers::default();
        numbers.push(MAX - 1);
        numbers.push(u64::MAX);
        assert_eq!([numbers.get(0), numbers.get(1)], [MAX - 1, MAX]);
    }
}

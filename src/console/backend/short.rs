//! A control sequence in the making. A page has hundreds, most of them tried and not taken, so none is allocated.

use std::ops::Deref;

/// More than the longest sequence takes: every attribute, and two colours of three parts.
const ROOM: usize = 80;

/// Up to [`ROOM`] bytes; what is beyond is lost, and no way of getting somewhere is as long.
#[derive(Clone, Copy)]
pub(super) struct Short {
    bytes: [u8; ROOM],
    length: usize,
}

impl Short {
    pub(super) const fn new() -> Self {
        Self {
            bytes: [0; ROOM],
            length: 0,
        }
    }

    pub(super) fn add(&mut self, bytes: &[u8]) {
        let end = (self.length + bytes.len()).min(ROOM);
        let fits = end - self.length;
        self.bytes[self.length..end].copy_from_slice(&bytes[..fits]);
        self.length = end;
    }

    pub(super) fn number(&mut self, number: usize) {
        let mut digits = [0; 20];
        let (mut start, mut left) = (digits.len(), number);
        loop {
            start -= 1;
            digits[start] = b'0' + (left % 10) as u8;
            left /= 10;
            if left == 0 {
                break;
            }
        }
        self.add(&digits[start..]);
    }
}

impl Deref for Short {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_holds_what_was_added_as_far_as_there_is_room() {
        let mut short = Short::new();
        for number in [0, 7, 120, usize::MAX] {
            short.number(number);
            short.add(b";");
        }
        assert_eq!(&*short, format!("0;7;120;{};", usize::MAX).as_bytes());
        short.add(&[b'x'; 2 * ROOM]);
        assert_eq!(short.len(), ROOM);
    }
}

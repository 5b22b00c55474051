//! Asking for a secret on a terminal: nothing is echoed, and the terminal is left as it was found.

use std::io::{BufRead, Write};

use rustix::termios::{
    LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcsetattr,
};
use zeroize::Zeroizing;

use super::error::CliError;
use super::io::Io;

/// The longest secret that can be typed or pasted, in bytes.
const LONGEST: usize = 64 * 1024;

/// Puts the terminal back on every way out.
struct Restore(Termios);

impl Drop for Restore {
    fn drop(&mut self) {
        // If the terminal is gone there is nothing to put back.
        let _ = tcsetattr(std::io::stdin(), OptionalActions::Flush, &self.0);
    }
}

/// Reads one line without showing it. Ctrl-C and Ctrl-D give up.
///
/// # Errors
/// [`CliError::Declined`] when the person gives up, [`CliError::Files`] when the terminal fails.
pub fn hidden(io: &mut Io, question: &str) -> Result<Zeroizing<String>, CliError> {
    let failed = |doing: &str| CliError::files(doing.to_owned());
    let before = tcgetattr(std::io::stdin())
        .map_err(|errno| failed("ask without showing the answer")(errno.into()))?;
    let mut silent = before.clone();
    // Signals off as well: a Ctrl-C that killed the process would leave the terminal mute.
    silent
        .local_modes
        .remove(LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG);
    silent.special_codes[SpecialCodeIndex::VMIN] = 1;
    silent.special_codes[SpecialCodeIndex::VTIME] = 0;
    tcsetattr(std::io::stdin(), OptionalActions::Flush, &silent)
        .map_err(|errno| failed("ask without showing the answer")(errno.into()))?;
    let restore = Restore(before);
    write!(io.err, "{question}")?;
    io.err.flush()?;
    let line = read_line(&mut *io.input);
    drop(restore);
    writeln!(io.err)?;
    line.map_err(failed("read the answer"))?
        .ok_or_else(|| CliError::Declined("nothing was entered".to_owned()))
}

/// Reads to the end of the line, minding backspace and Ctrl-U; `None` when the person gave up.
fn read_line(input: &mut dyn BufRead) -> std::io::Result<Option<Zeroizing<String>>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(256));
    let mut byte = [0];
    while input.read(&mut byte)? == 1 {
        match byte[0] {
            b'\n' | b'\r' => break,
            3 | 4 => return Ok(None),
            8 | 127 => {
                // Back over a whole character.
                while bytes.pop().is_some_and(|last| last & 0xc0 == 0x80) {}
            }
            21 => bytes.clear(),
            other if bytes.len() < LONGEST => bytes.push(other),
            _ => {}
        }
    }
    let text = std::str::from_utf8(&bytes)
        .map_err(|_| std::io::Error::new(std::io::ErrorKind::InvalidData, "it is not UTF-8"))?;
    Ok((!text.is_empty()).then(|| Zeroizing::new(text.to_owned())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hidden_line_can_be_edited_and_given_up() {
        let typed = |keys: &[u8]| {
            let line = read_line(&mut &keys[..]).unwrap();
            line.map(|line| line.to_string())
        };
        assert_eq!(typed(b"secret\n").as_deref(), Some("secret"));
        assert_eq!(typed(b"secret\rrest").as_deref(), Some("secret"));
        assert_eq!(
            typed("sé\u{7f}ecret\n".as_bytes()).as_deref(),
            Some("secret")
        );
        assert_eq!(typed(b"wrong\x15right\n").as_deref(), Some("right"));
        assert_eq!(typed(b"sec\x03ret\n"), None);
        assert_eq!(typed(b"\x04"), None);
        assert_eq!(typed(b"\n"), None);
        assert!(read_line(&mut &b"\xff\n"[..]).is_err());
    }
}

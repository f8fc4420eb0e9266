//! A new password, typed twice at a terminal or read as one line from standard input.

use std::fmt::Display;
use std::fs::File;
use std::io::{self, BufRead, IsTerminal};

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use zeroize::Zeroizing;

use crate::domain::name::Username;
use crate::domain::secret::Secret;
use crate::domain::text_file;
use crate::service::identity::password::{MAX_TYPED_PASSWORD_LENGTH, check_new_password};

use super::outcome::CommandError;
use super::print;

/// Reads a new password for a user.
pub(super) fn read_new_password(name: &Username) -> Result<Secret<String>, CommandError> {
    let password = if io::stdin().is_terminal() {
        read_from_terminal(name)?
    } else {
        read_from_pipe(io::stdin().lock())?
    };
    check_new_password(&password).map_err(CommandError::new)?;
    Ok(password)
}

fn read_from_terminal(name: &Username) -> Result<Secret<String>, CommandError> {
    let _echo_off = EchoOff::new().map_err(|error| read_error(&error))?;
    let password = prompt_password(&format!("New password for {name}: "))?;
    check_new_password(&password).map_err(CommandError::new)?;
    let repeated = prompt_password("Repeat password: ")?;
    if password.reveal() != repeated.reveal() {
        return Err(CommandError::new("the passwords do not match"));
    }
    Ok(password)
}

fn prompt_password(prompt: &str) -> Result<Secret<String>, CommandError> {
    print::prompt(prompt);
    rpassword::read_password()
        .map(Secret::new)
        .map_err(|error| read_error(&error))
}

fn read_error(error: &io::Error) -> CommandError {
    CommandError::new(format!("cannot read the password: {error}"))
}

/// A guard that switches the echo of the terminal off until it is dropped.
///
/// rpassword switches it off only while it reads. A program may answer the prompt before that, so the
/// echo goes off before the prompt.
struct EchoOff {
    terminal: File,
    original: Termios,
}

impl EchoOff {
    fn new() -> io::Result<Self> {
        let terminal = File::open("/dev/tty")?;
        let before = tcgetattr(&terminal)?;
        let mut silent = before.clone();
        silent.local_modes.remove(LocalModes::ECHO);
        tcsetattr(&terminal, OptionalActions::Now, &silent)?;
        Ok(Self {
            terminal,
            original: before,
        })
    }
}

impl Drop for EchoOff {
    fn drop(&mut self) {
        // Nothing can be done if the terminal is gone.
        tcsetattr(&self.terminal, OptionalActions::Now, &self.original).ok();
    }
}

/// What a line may have besides the longest password: one byte that shows that it is too long, its end (CRLF),
/// and a byte order mark, which some shells send first.
const MAX_EXTRA_BYTES: u64 = 1 + 2 + 3;

/// The first line, without its end and without a byte order mark.
fn read_from_pipe(from: impl BufRead) -> Result<Secret<String>, CommandError> {
    let max = u64::try_from(MAX_TYPED_PASSWORD_LENGTH).unwrap_or(u64::MAX);
    let unreadable =
        |error: &dyn Display| CommandError::new(format!("cannot read standard input: {error}"));
    let mut line = Vec::new();
    from.take(max.saturating_add(MAX_EXTRA_BYTES))
        .read_until(b'\n', &mut line)
        .map_err(|error| unreadable(&error))?;
    let line = Zeroizing::new(text_file::decode(line).map_err(|error| unreadable(&error))?);
    let text = line.strip_suffix('\n').unwrap_or(&line);
    let text = text.strip_suffix('\r').unwrap_or(text);
    if text.is_empty() {
        return Err(
            CommandError::new("no password on standard input").with_hint(
                "send it as one line; cedargate user add NAME --no-password creates a user without one",
            ),
        );
    }
    Ok(Secret::new(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::identity::password::MAX_PASSWORD_LENGTH;

    #[test]
    fn a_password_is_the_first_line_without_its_end() {
        for text in [
            "correct horse\n",
            "correct horse\r\nmore",
            "correct horse",
            "\u{feff}correct horse\r\n",
        ] {
            let read = read_from_pipe(text.as_bytes()).unwrap();
            assert_eq!(read.reveal(), "correct horse");
        }
        assert_eq!(read_from_pipe(" a \n".as_bytes()).unwrap().reveal(), " a ");
        assert!(read_from_pipe("".as_bytes()).is_err());
        assert!(read_from_pipe("\n".as_bytes()).is_err());
        let utf16 = read_from_pipe(&b"\xff\xfea\0\n\0"[..]).unwrap_err();
        assert!(utf16.message.contains("UTF-16"), "{}", utf16.message);
    }

    #[test]
    fn a_line_without_end_is_not_read_to_its_end() {
        let read = read_from_pipe(io::BufReader::new(io::repeat(b'a'))).unwrap();
        assert!(check_new_password(&read).is_err());
        let longest = format!("{}\r\n", "a".repeat(MAX_PASSWORD_LENGTH));
        let read = read_from_pipe(longest.as_bytes()).unwrap();
        assert!(check_new_password(&read).is_ok());
    }
}

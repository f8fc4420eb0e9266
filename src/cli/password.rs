//! A new password, typed twice at a terminal or read as one line from standard input.
//!
//! This module refuses to know what is done with it.

use std::fs::File;
use std::io::{self, BufRead, IsTerminal};

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use zeroize::Zeroizing;

use crate::domain::name::Username;
use crate::domain::secret::Secret;
use crate::service::identity::password::{LONGEST_PASSWORD, check_new_password};

use super::{Failure, print};

/// Reads a new password for a user.
pub(super) fn read(name: &Username) -> Result<Secret<String>, Failure> {
    let password = if io::stdin().is_terminal() {
        typed(name)?
    } else {
        piped(io::stdin().lock())?
    };
    check_new_password(&password).map_err(Failure::new)?;
    Ok(password)
}

fn typed(name: &Username) -> Result<Secret<String>, Failure> {
    let _silence = Silence::fall().map_err(|error| unreadable(&error))?;
    let once = asked(&format!("new password of {name}: "))?;
    check_new_password(&once).map_err(Failure::new)?;
    let again = asked("the same again: ")?;
    if once.reveal() != again.reveal() {
        return Err(Failure::new("the two passwords differ"));
    }
    Ok(once)
}

fn asked(prompt: &str) -> Result<Secret<String>, Failure> {
    print::prompt(prompt);
    rpassword::read_password()
        .map(Secret::new)
        .map_err(|error| unreadable(&error))
}

fn unreadable(error: &io::Error) -> Failure {
    Failure::new(format!("the password cannot be read: {error}"))
}

/// The terminal, as long as it does not show what is typed.
///
/// rpassword hides what is typed while it reads. Whoever answers at the sight of the question, a
/// program most likely, may be faster than that, so the terminal falls silent before it asks.
struct Silence {
    terminal: File,
    before: Termios,
}

impl Silence {
    fn fall() -> io::Result<Self> {
        let terminal = File::open("/dev/tty")?;
        let before = tcgetattr(&terminal)?;
        let mut silent = before.clone();
        silent.local_modes.remove(LocalModes::ECHO);
        tcsetattr(&terminal, OptionalActions::Now, &silent)?;
        Ok(Self { terminal, before })
    }
}

impl Drop for Silence {
    fn drop(&mut self) {
        // Nothing is left to be done about a terminal that went away.
        tcsetattr(&self.terminal, OptionalActions::Now, &self.before).ok();
    }
}

/// The first line, without its end.
fn piped(from: impl BufRead) -> Result<Secret<String>, Failure> {
    // One byte more than the longest password with its line end tells that it is too long.
    let most = u64::try_from(LONGEST_PASSWORD).unwrap_or(u64::MAX);
    let mut line = Zeroizing::new(String::new());
    from.take(most.saturating_add(3))
        .read_line(&mut line)
        .map_err(|error| Failure::new(format!("standard input cannot be read: {error}")))?;
    let text = line.strip_suffix('\n').unwrap_or(&line);
    let text = text.strip_suffix('\r').unwrap_or(text);
    if text.is_empty() {
        return Err(
            Failure::new("there is no password on standard input").with_hint(
                "send it as one line; cedargate user add NAME --no-password makes a user without one",
            ),
        );
    }
    Ok(Secret::new(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_the_first_line_without_its_end() {
        for text in ["correct horse\n", "correct horse\r\nmore", "correct horse"] {
            let read = piped(text.as_bytes()).unwrap();
            assert_eq!(read.reveal(), "correct horse");
        }
        assert_eq!(piped(" a \n".as_bytes()).unwrap().reveal(), " a ");
        assert!(piped("".as_bytes()).is_err());
        assert!(piped("\n".as_bytes()).is_err());
    }

    #[test]
    fn a_line_without_end_is_not_read_to_its_end() {
        let read = piped(io::BufReader::new(io::repeat(b'a'))).unwrap();
        assert!(check_new_password(&read).is_err());
        let longest = format!("{}\r\n", "a".repeat(LONGEST_PASSWORD));
        let read = piped(longest.as_bytes()).unwrap();
        assert!(check_new_password(&read).is_ok());
    }
}

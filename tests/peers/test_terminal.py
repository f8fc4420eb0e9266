"""`cedargate user` at a terminal: it prompts twice for a password, without showing it."""

import os
import pty
import sys
import termios

from server import BINARY


class Terminal:
    """A command whose standard input and output are a terminal."""

    def __init__(self, folder, *arguments):
        environment = {**os.environ, "CEDARGATE_DATA_DIR": str(folder)}
        self.shown = ""
        self.process, self.terminal = pty.fork()
        if self.process == 0:
            os.chdir(folder)
            os.execve(BINARY, [str(BINARY), *arguments], environment)
            sys.exit(127)

    def read(self):
        try:
            return os.read(self.terminal, 4096).decode()
        except OSError:  # Linux reports a closed other end like this
            return ""

    def answer(self, question, text):
        """Waits for a prompt, and types the answer."""
        while question not in self.shown:
            read = self.read()
            assert read, f"{question!r} was not asked: {self.shown}"
            self.shown += read
        assert not self.is_echoing(), f"what is typed after {question!r} is shown"
        os.write(self.terminal, f"{text}\n".encode())

    def is_echoing(self):
        """Whether the terminal shows what is typed."""
        return bool(termios.tcgetattr(self.terminal)[3] & termios.ECHO)

    def end(self):
        """The exit code, and everything on the screen."""
        while read := self.read():
            self.shown += read
        _, status = os.waitpid(self.process, 0)
        os.close(self.terminal)
        return os.waitstatus_to_exitcode(status), self.shown


def test_a_password_is_typed_twice_and_never_shown(tmp_path):
    terminal = Terminal(tmp_path, "user", "add", "ada", "--admin")
    terminal.answer("New password for ada: ", "correct horse")
    terminal.answer("Repeat password: ", "correct horse")
    code, shown = terminal.end()
    assert code == 0, shown
    assert "created user ada" in shown
    assert "correct horse" not in shown


def test_two_different_passwords_create_no_user(tmp_path):
    terminal = Terminal(tmp_path, "user", "add", "ada")
    terminal.answer("New password for ada: ", "correct horse")
    terminal.answer("Repeat password: ", "correct horsf")
    code, shown = terminal.end()
    assert code == 1 and "the passwords do not match" in shown, shown
    code, shown = Terminal(tmp_path, "user", "list", "--json").end()
    assert code == 0 and shown.strip() == "[]", shown

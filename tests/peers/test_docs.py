"""The documentation is correct: every command and program on a page runs, every link has a target.

The blocks of a page run in order, in a folder like a clone in which `make run` is running: `sh`,
`python` and `js` unchanged except for the address of the server, `toml` as the catalog file that
the page names, as the settings file if it is about issuers or stores, or as a file of networks. A
`cedar` block must be the text of a file in the repository, a `json` block must parse. Blocks that
cannot run have another language and are counted in NOT_RUN.

Run as a program, this file updates the table of settings in docs/operators.md.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from demo import INTERNAL, MEMBER, OWNER, PUBLIC, RESTRICTED
from server import BINARY, DEADLINE, LONG_LIMITS, ROOT

ADDRESS = "http://127.0.0.1:8080"  # as written on the pages
PAGES = ["README.md", *sorted(f"docs/{page.name}" for page in (ROOT / "docs").glob("*.md"))]
EXAMPLES = sorted(folder.name for folder in (ROOT / "docs" / "examples").iterdir())
RUN = {"sh", "python", "js"}
READ = {"cedar", "console", "json", "toml"}  # test_transcripts.py runs console
# Blocks that cannot run. When you add one, raise the number and say on the page why it cannot run.
NOT_RUN = {
    "docs/operators.md": {"nginx": 4, "text": 1},
    # What commands print, which the tests of those commands compare, and lines of a schema.
    "docs/policy-authors.md": {"text": 4},
    # tests/verifiers runs them.
    "docs/verifiers.md": {"nginx": 1, "ruby": 1},
}

OPERATORS = ROOT / "docs" / "operators.md"
SETTINGS = re.compile(r"(<!-- settings: [^\n]*-->\n)(.*?)(<!-- end of settings -->)", re.DOTALL)


@dataclass
class Block:
    page: str
    line: int
    language: str
    text: str

    def __str__(self):
        return f"{self.page}:{self.line}"


def text_of(page):
    return (ROOT / page).read_text()


def blocks(page):
    """The fenced blocks of a page in order; the language of a bare fence is ''."""
    found, opened = [], None
    for number, line in enumerate(text_of(page).splitlines(), 1):
        if line.startswith("```"):
            if opened is None:
                opened = Block(page, number, line[3:].strip(), "")
            else:
                found.append(opened)
                opened = None
        elif opened is not None:
            opened.text += line + "\n"
    assert opened is None, f"{opened}: the block does not end"
    return found


def without_blocks(page):
    return re.sub(r"^```.*?^```$", "", text_of(page), flags=re.DOTALL | re.MULTILINE)


def only_block(page, language):
    found = [block for block in blocks(page) if block.language == language]
    assert len(found) == 1, [str(block) for block in found]
    return found[0]


def make_clone(server):
    """Copies the folders of a clone that the pages use into the server's folder."""
    for folder in ("policies", "demo", "docs"):
        shutil.copytree(ROOT / folder, server.folder / folder)
    peers = Path(__file__).resolve().parent
    (server.folder / "node_modules").symlink_to(peers / "node_modules")
    # Node 18 does not export these; the pages require Node 20.
    (server.folder / "node18.cjs").write_text(
        "globalThis.crypto ??= require('node:crypto').webcrypto;\n"
        "globalThis.CryptoKey ??= globalThis.crypto.CryptoKey;\n"
    )
    return server


class Reader:
    """A reader who pastes the blocks of one page into one shell, in order."""

    def __init__(self, server):
        self.server = server
        own = f"{Path(sys.executable).parent}:{BINARY.parent}"
        kept = {k: v for k, v in os.environ.items() if not k.startswith("CEDARGATE_")}
        self.environment = {**kept, **LONG_LIMITS, "PATH": f"{own}:{kept['PATH']}"}

    def as_pasted(self, block):
        return self.as_pasted_text(block.text)

    def as_pasted_text(self, text):
        return text.replace(ADDRESS, self.server.base)

    def as_written(self, text):
        """What a command printed, as a page has it."""
        return text.replace(self.server.base, ADDRESS)

    def run(self, block):
        do = {"sh": self.run_sh, "python": self.run_python, "js": self.run_js}[block.language]
        done = do(block)
        assert done.returncode == 0, f"{block}: {done.stdout}{done.stderr}"
        return done

    def run_sh(self, block):
        # Variables and functions are passed on in the environment, where set -a puts them.
        kept = self.server.folder / "environment"
        script = f"set -eu -o pipefail -a\n{self.as_pasted(block)}env -0 >'{kept}'\n"
        done = self._run("bash", "--noprofile", "--norc", "-c", script)
        if done.returncode == 0:
            pairs = [pair.partition("=") for pair in kept.read_text().split("\0") if pair]
            self.environment = {name: value for name, _, value in pairs}
        return done

    def run_python(self, block):
        return self._run(sys.executable, "-c", self.as_pasted(block))

    def run_js(self, block, more=""):
        script = self.server.folder / f"block-{block.line}.mjs"
        script.write_text(self.as_pasted(block) + more)
        return self._run("node", "--require", "./node18.cjs", script)

    def _run(self, *command):
        return subprocess.run(
            command,
            cwd=self.server.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=DEADLINE,
        )


def settings_table():
    done = subprocess.run(
        [BINARY, "config", "--markdown"],
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=True,
    )
    return done.stdout


def toml_name(text):
    if text.startswith(("[[issuers]]", "[[stores]]")):
        return "cedargate.toml"
    return "catalog.toml" if "[[" in text else "networks.toml"


@pytest.mark.parametrize("page", PAGES)
def test_every_block_of_a_page_runs_unchanged(page, make_server):
    server = make_clone(make_server()).start()
    reader = Reader(server)
    for block in blocks(page):
        if block.language == "toml":
            (server.folder / toml_name(block.text)).write_text(block.text)
        elif block.language in RUN:
            reader.run(block)


@pytest.mark.parametrize("page", PAGES)
def test_a_page_has_blocks_that_run_and_no_uncounted_others(page):
    languages = [block.language for block in blocks(page)]
    assert RUN & set(languages), f"{page} has no block that runs"
    others = [language for language in languages if language not in RUN | READ]
    assert {name: others.count(name) for name in others} == NOT_RUN.get(page, {})
    # Indented code would be a block that is not counted.
    assert not re.search(r"\n\n {4}\S", without_blocks(page)), f"{page} has indented code"


@pytest.mark.parametrize("page", PAGES)
def test_policies_on_a_page_are_in_a_file_and_json_parses(page):
    files = [*ROOT.glob("policies/**/*.cedar"), *ROOT.glob("docs/examples/*/*.cedar")]
    texts = {file.read_text() for file in files}
    for block in blocks(page):
        if block.language == "cedar":
            assert block.text in texts, f"{block}: not in a file of policies/ or docs/examples/"
        if block.language == "json":
            json.loads(block.text)


@pytest.mark.parametrize("page", PAGES)
def test_every_make_target_on_a_page_exists(page):
    for target in re.findall(r"`make ([\w-]+)`", text_of(page)):
        assert re.search(rf"^{target}:", text_of("Makefile"), re.MULTILINE), f"make {target}"


@pytest.mark.parametrize("page", PAGES)
def test_every_command_on_a_page_exists(page, run_peer):
    for words in re.findall(r"`cedargate ([a-z-]+(?: [a-z-]+)?)", text_of(page)):
        done = run_peer(BINARY, *words.split(), "--help")
        assert done.returncode == 0, f"{page}: cedargate {words}: {done.stderr}"


def anchors(text):
    """The anchors of the headings of a page on GitHub."""
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", [*PAGES, "STYLE.md", "demo/README.md"])
def test_every_link_has_a_target(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", text_of(page)):
        if target.startswith("https://"):
            continue
        path, _, anchor = target.partition("#")
        file = (ROOT / page).parent / path if path else ROOT / page
        assert file.exists(), f"{page}: {target} does not exist"
        if anchor:
            assert anchor in anchors(file.read_text()), f"{page}: {target} has no such heading"


def test_the_table_of_settings_is_current():
    table = SETTINGS.search(OPERATORS.read_text())
    assert table, "docs/operators.md has no marks around its table of settings"
    assert table[2] == settings_table(), (
        "docs/operators.md is out of date: run `.venv/bin/python tests/peers/test_docs.py`"
    )


def test_the_operators_page_names_every_metric():
    sources = "".join(file.read_text() for file in (ROOT / "src").rglob("*.rs"))
    recorded = set(re.findall(r"metrics::\w+!\(\s*\"(\w+)\"", sources))
    assert recorded == set(re.findall(r"^\| `(cedargate_\w+)", OPERATORS.read_text(), re.M))


def test_the_operators_page_names_the_fixed_limits():
    text = (ROOT / "src" / "config" / "limits.rs").read_text()
    found = dict(re.findall(r"const (\w+): \w+ = ([^;]+);", text))
    expected = {
        "MAX_HEADERS_SIZE": ("32 * 1024", "32 KiB"),
        "MAX_BODY_SIZE": ("16 * 1024", "16 KiB"),
        "MAX_USER_BODY_SIZE": ("64 * 1024", "64 KiB"),
        "MAX_DATASET_BODY_SIZE": ("2 * 1024 * 1024", "2 MiB"),
        "MAX_QUESTION_BODY_SIZE": ("64 * 1024", "64 KiB; 1 MiB"),
        "MAX_EVALUATIONS_BODY_SIZE": ("1024 * 1024", "64 KiB; 1 MiB"),
        "MAX_DRAFT_BODY_SIZE": ("4 * 1024 * 1024", "4 MiB"),
        "MAX_UNUSED_BODY_SIZE": ("2 * 1024 * 1024", "2 MiB"),
        "HEADERS_TIMEOUT": ("Duration::from_secs(15)", "15 seconds"),
        "BODY_TIMEOUT": ("Duration::from_secs(10)", "10 seconds"),
        "MAX_HEADERS": ("100", "100 headers"),
        "CONNECTION_SHARE_DIVISOR": ("4", "one in 4 of all connections"),
        "RESERVED_CONNECTIONS": ("64", "64 connections"),
        "RESERVED_HEADERS_TIMEOUT": ("Duration::from_secs(2)", "2 seconds"),
        "RATE_WINDOW": ("Duration::from_mins(1)", "60 seconds"),
        "POLICY_CHECK_TIMEOUT": (
            "Duration::from_secs(10)",
            "twice `gate_proof_limit` and 20 seconds",
        ),
        "CONNECTION_TURN_TIMEOUT": ("Duration::from_secs(2)", "`max_connections`; 2 seconds"),
        "MAX_WAITING_CONNECTIONS": ("1024", "| 1024, and no more than"),
        "MAX_TOKEN_LIFETIME": ("Duration::from_mins(2)", "seconds from 1 to 120"),
        "UPLOAD_TIMEOUT": ("Duration::from_mins(30)", "30 minutes"),
    }
    assert found == {name: value for name, (value, _) in expected.items()}
    for _, words in expected.values():
        assert words in OPERATORS.read_text()


def test_the_operators_page_names_every_field_of_an_audit_record(server):
    server.mint(PUBLIC)
    documented = set(re.findall(r"`(\w+)`", OPERATORS.read_text().partition("## Audit")[2]))
    assert set(server.audit()[-1]) <= documented


def copy_example(server, example):
    """Copies an example over the policies of a clone that is not running yet."""
    make_clone(server)
    source = ROOT / "docs" / "examples" / example
    shutil.copytree(source, server.folder / "policies", dirs_exist_ok=True)
    return server


@pytest.mark.parametrize("example", EXAMPLES)
def test_the_cases_of_an_example_fail_without_its_policy(example, make_server):
    server = copy_example(make_server(), example)
    assert server.run("policy", "test").returncode == 0
    for extension in ("cedar", "links.json"):
        (server.folder / "policies" / f"{example}.{extension}").unlink(missing_ok=True)
    done = server.run("policy", "test", "--json", check=False)
    assert done.returncode == 3, done.stdout + done.stderr
    assert example in done.stdout


@pytest.mark.parametrize("example", EXAMPLES)
def test_a_server_that_requires_proofs_starts_with_an_example(example, make_server):
    server = copy_example(make_server(CEDARGATE_GATE_PROOFS="require"), example).start()
    ready = server.get("/health/ready").json()
    assert ready["status"] == "ready", ready


def test_office_network_permits_internal_data_in_that_network_only(make_server):
    server = copy_example(make_server(CEDARGATE_TRUSTED_PROXIES="127.0.0.1/32"), "office-network")
    server.start()
    for address, status in (("198.51.100.7", 200), ("192.0.2.7", 404)):
        headers = {"X-Forwarded-For": address}
        assert (
            server.post(f"/auth/download-token/{INTERNAL}", headers=headers).status_code == status
        )


def test_short_tokens_shortens_the_tokens_of_that_role_only(make_server):
    server = copy_example(make_server(), "short-tokens").start()
    lifetimes = {
        username: server.post_mint(RESTRICTED, server.login(username)).json()["expires_in"]
        for username in (MEMBER, OWNER)
    }
    assert lifetimes == {MEMBER: 30, OWNER: 120}


def test_embargo_hides_public_data_from_everyone_but_its_owner(make_server):
    server = copy_example(make_server(), "embargo").start()
    catalog = server.folder / "demo" / "catalog.toml"
    before = 'tags = { theme = ["elevation"] }'
    assert server.post_mint(PUBLIC).status_code == 200
    catalog.write_text(catalog.read_text().replace(before, 'tags = { embargo = ["yes"] }', 1))
    server.run("catalog", "apply", catalog)
    session = server.login(OWNER)
    server.stop()
    server.start()
    assert server.post_mint(PUBLIC).status_code == 404
    assert server.post_mint(PUBLIC, session).status_code == 200


class Verifier:
    """The `verify` function of the verifiers' page."""

    def __init__(self, language, server):
        self.language, self.reader = language, Reader(server)
        self.block = only_block("docs/verifiers.md", language)

    def verify(self, token, dataset):
        """The claims, or None for a token that is refused."""
        arguments = f"({json.dumps(token)}, {json.dumps(dataset)})"
        if self.language == "python":
            more = (
                "\nimport json"
                f"\ntry: print(json.dumps(verify{arguments}))"
                "\nexcept jwt.InvalidTokenError as error: print('null')\n"
            )
            block = Block(self.block.page, self.block.line, "python", self.block.text + more)
            done = self.reader.run_python(block)
        else:
            more = (
                f"\nconst claims = await verify{arguments}.catch(() => null);"
                "\nconsole.log(JSON.stringify(claims));\n"
            )
            done = self.reader.run_js(self.block, more)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


@pytest.fixture(params=["python", "js"])
def verifier(request, make_server):
    return Verifier(request.param, make_clone(make_server()).start())


def test_the_verifiers_page_accepts_valid_tokens_and_refuses_all_others(verifier):
    server = verifier.reader.server
    session = server.login(MEMBER)
    anonymous, personal = server.mint(PUBLIC), server.mint(RESTRICTED, session)
    assert "sub" not in verifier.verify(anonymous, PUBLIC)
    assert verifier.verify(personal, RESTRICTED)["sub"]
    assert verifier.verify(anonymous, RESTRICTED) is None
    assert verifier.verify(session, RESTRICTED) is None
    head, body, signature = anonymous.split(".")
    assert verifier.verify(f"{head}.{personal.split('.')[1]}.{signature}", RESTRICTED) is None
    assert verifier.verify(f"{head}.{body}.", PUBLIC) is None


if __name__ == "__main__":
    updated = SETTINGS.sub(
        lambda found: found[1] + settings_table() + found[3], OPERATORS.read_text()
    )
    OPERATORS.write_text(updated)

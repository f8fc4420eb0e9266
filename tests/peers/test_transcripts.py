"""The transcripts on the pages are what the commands print."""

import pytest

from test_docs import PAGES, Reader, make_clone, text_of
from transcripts import BLOCK, matches, run_page, steps_of

WITH_TRANSCRIPTS = [page for page in PAGES if BLOCK.search(text_of(page))]


@pytest.mark.parametrize("page", WITH_TRANSCRIPTS)
def test_the_commands_of_a_page_print_what_the_page_says(page, make_server):
    server = make_clone(make_server()).start()
    _, differing = run_page(text_of(page), Reader(server))
    told = [f"{step.text()}\n--- prints now:\n" + "\n".join(found) for step, found in differing]
    assert not told, "\n\n".join([*told, "see transcripts.py for how to update the page"])


def test_the_ten_tasks_of_an_author_and_the_way_to_a_decision_are_on_the_pages():
    assert WITH_TRANSCRIPTS == ["docs/authzen.md", "docs/policy-authors.md"]


def test_a_transcript_has_commands_with_here_documents_and_patterns_in_what_they_print():
    steps = steps_of("$ cat >a <<'END'\none\nEND\n$ echo a \\\n  b\na b\n...\n")
    assert [step.command for step in steps] == ["cat >a <<'END'\none\nEND", "echo a \\\n  b"]
    assert [step.output for step in steps] == [[], ["a b", "..."]]
    assert matches(["a", "...", "b [..] d"], ["a", "x", "y", "b (c) d"])
    assert matches(["...", "a"], ["a"]) and matches([], [])
    for expected, found in ((["a"], []), (["a"], ["a", "b"]), (["a.b"], ["axb"]), (["..."], [])):
        assert matches(expected, found) == (expected == ["..."])

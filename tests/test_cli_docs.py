"""docs/cli.md is what the commands say of themselves."""

from __future__ import annotations

import re

from tools.generate_cli_docs import PAGE, main, page


def test_the_page_of_the_commands_is_up_to_date():
    assert main(["--check"]) == 0, "run tools/generate_cli_docs.py"


def test_every_command_says_how_it_ends_or_only_calculates():
    for section in re.split(r"^## ", PAGE.read_text(), flags=re.MULTILINE)[2:]:
        name = section.splitlines()[0].strip("`")
        assert "xit code" in section or name.startswith("tenantpool size"), name


def test_every_option_is_explained():
    for line in page().splitlines():
        assert not re.fullmatch(r"\| `.*` \|  \|", line), line

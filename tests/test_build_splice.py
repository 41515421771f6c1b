"""The splice is compiled where that is possible, and left out where it is not."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tools.build_splice import MODULE, SOURCES, compile_splice

ROOT = Path(__file__).parents[1]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A source tree, with what was compiled before."""
    shutil.copytree(ROOT / SOURCES, tmp_path / SOURCES)
    (tmp_path / MODULE).write_text("old")
    return tmp_path


@pytest.mark.parametrize("compiler", ["false", "true", "/there/is/none"])
def test_without_a_compiler_there_is_none(
    tree: Path, monkeypatch: pytest.MonkeyPatch, compiler: str
):
    monkeypatch.setenv("CC", compiler)
    assert compiler in compile_splice(tree)
    assert not list((tree / MODULE).parent.glob("*.so"))


@pytest.mark.skipif(sys.platform != "linux", reason="the splice needs epoll")
@pytest.mark.skipif(shutil.which("cc") is None, reason="there is no C compiler")
def test_it_compiles_without_a_warning(tree: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CFLAGS", "-Werror")
    assert compile_splice(tree) == ""
    code = (
        "import importlib.util as u; "
        f"spec = u.spec_from_file_location('_splice', {str(tree / MODULE)!r}); "
        "print(u.module_from_spec(spec))"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    assert [path.name for path in (tree / MODULE).parent.glob("*.so")] == [MODULE.name]

"""The generator of the sync modules, on small real samples."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

import pytest

from tools.generate_sync import GenerateError, header, main, to_sync


def check(source: str, expected: str) -> None:
    assert to_sync(dedent(source)) == dedent(expected)


def test_keywords_disappear_from_code():
    check(
        """
        async def move(pool, items):
            async with pool.connection() as conn, other:  # keep this comment
                await  conn.commit()
            async for item in items:
                yield (await item.load()).name
            names = [n async for n in items if await ok(n)]
        """,
        """
        def move(pool, items):
            with pool.connection() as conn, other:  # keep this comment
                conn.commit()
            for item in items:
                yield (item.load()).name
            names = [n for n in items if ok(n)]
        """,
    )


def test_an_await_at_the_end_of_a_line_leaves_the_brackets_whole():
    check(
        "async def f():\n    return (await\n        g())\n",
        "def f():\n    return (\n        g())\n",
    )


def test_names_are_replaced_in_code_strings_and_comments():
    check(
        '''
        class AsyncManager(_AsyncBase):
            """An AsyncManager (or an ``AsyncItem``), see tenantpool.manager._async.pool."""

            async def __aenter__(self) -> "AsyncManager":
                return await super().__aenter__()  # AsyncBase does the work

            def items(self) -> AsyncIterator[int]: ...

            aclose = anext
        ''',
        '''
        class Manager(_Base):
            """A Manager (or an ``Item``), see tenantpool.manager._sync.pool."""

            def __enter__(self) -> "Manager":
                return super().__enter__()  # Base does the work

            def items(self) -> Iterator[int]: ...

            close = next
        ''',
    )


def test_words_inside_other_words_stay():
    source = "is_async = asynchronous = MyAsyncThing = Async = Asyncio = aclose_all = 1\n"
    check(source, source)


def test_prose_changes_only_where_it_looks_like_code():
    check(
        '''
        """Async is the source. The async manager is cancelled at any await; await it.

            async with manager.connection("acme") as conn:
                await conn.execute("select 1")
                await done(conn)
        """
        # ``async with`` and await pool.close()
        ''',
        '''
        """Async is the source. The async manager is cancelled at any await; await it.

            with manager.connection("acme") as conn:
                conn.execute("select 1")
                done(conn)
        """
        # ``with`` and pool.close()
        ''',
    )


def test_f_strings_are_strings():
    check(
        """
        async def f(a): return f"{await a.b()} {{x}} {f'{await b(a):>{await c.d(a)}}'}" + await a
        """,
        """
        def f(a): return f"{a.b()} {{x}} {f'{b(a):>{c.d(a)}}'}" + a
        """,
    )


def test_awaitable_results_become_plain_results():
    check(
        "Check = Callable[[AsyncConnection[Any]], Awaitable[dict[str, Awaitable[int]]]]\n",
        "Check = Callable[[Connection[Any]], dict[str, int]]\n",
    )


def test_marked_blocks_keep_the_sync_branch():
    check(
        '''
        if True:  # ASYNC
            import asyncio
        else:
            import threading

        class Pool:
            if False:  # ASYNC
                # only here
                def join(self) -> None:
                    """Wait."""
            async def close(self):
                if True:  # ASYNC
                    await gather()
                else:
                    if False:  # ASYNC
                        sql = """
            select 1
        """
                    # the end
                # after
                return 1
        ''',
        '''
        import threading

        class Pool:
            # only here
            def join(self) -> None:
                """Wait."""
            def close(self):
                sql = """
            select 1
        """
                # the end
                # after
                return 1
        ''',
    )


def test_a_marked_block_without_else_disappears():
    check("if True:  # ASYNC\n    a = 1\n\n    b = 2\nc = 3\n", "c = 3\n")


def test_an_else_of_an_outer_block_is_not_taken():
    check(
        "if a:\n    if True:  # ASYNC\n        b = 1\n    c = 1\nelse:\n    d = 1\n",
        "if a:\n    c = 1\nelse:\n    d = 1\n",
    )


def test_a_result_that_does_not_compile_is_an_error():
    with pytest.raises(GenerateError, match="the result does not compile"):
        to_sync("async def f():\n    if True:  # ASYNC\n        await g()\n")
    with pytest.raises(GenerateError, match=r"the source does not compile: .*: await g"):
        to_sync("def f():\n    await g()\n")


# Whole files


@pytest.fixture
def package(tmp_path: Path) -> Path:
    source = tmp_path / "_async" / "box.py"
    source.parent.mkdir()
    source.write_text(
        "from __future__ import annotations\n"
        "import asyncio\n"
        "from collections.abc import Awaitable, AsyncIterator\n"
        "class AsyncBox:\n"
        "    async def items(self) -> AsyncIterator[int]:\n"
        "        await asyncio.sleep( 1 )\n"
        "        yield 1\n"
    )
    return tmp_path


GENERATED = """\
# Generated from ../_async/box.py by tools/generate_sync.py: do not edit.
from __future__ import annotations

import time
from collections.abc import Iterator


class Box:
    def items(self) -> Iterator[int]:
        time.sleep(1)
        yield 1
"""


def test_a_file_is_formatted_and_has_the_imports_it_needs(package: Path):
    assert main([str(package)]) == 0
    assert (package / "_sync" / "box.py").read_text() == GENERATED
    assert main(["--check", str(package)]) == 0


def test_check_prints_a_diff_and_changes_nothing(package, capsys):
    main([str(package)])
    target = package / "_sync" / "box.py"
    edited = GENERATED.replace("yield 1", "yield 2")
    target.write_text(edited)

    assert main(["--check", str(package)]) == 1

    output = capsys.readouterr()
    assert "-        yield 2\n+        yield 1" in output.out
    assert "make sync" in output.err
    assert target.read_text() == edited


def test_a_module_without_a_source_is_stale_and_removed(package, capsys):
    main([str(package)])
    (package / "_async" / "box.py").unlink()

    assert main(["--check", str(package)]) == 1
    assert "-class Box:" in capsys.readouterr().out
    assert main([str(package)]) == 0
    assert not (package / "_sync" / "box.py").exists()


def test_a_module_written_by_hand_is_never_removed(package, capsys):
    by_hand = package / "_sync" / "other.py"
    by_hand.parent.mkdir()
    by_hand.write_text("x = 1\n")

    assert main([str(package)]) == 1
    assert "written by hand" in capsys.readouterr().err
    assert by_hand.exists()


def test_the_header_names_the_source():
    assert "../_async/pool.py" in header(Path("a/_async/pool.py"))

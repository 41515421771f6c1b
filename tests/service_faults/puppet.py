"""A worker in a process of its own: it does what it is told, and can be stopped and killed.

Run as a program, it is that process: each line is Python to run, each answer its value or error.
"""

from __future__ import annotations

import ast
import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tenantpool.client import AsyncLeaseClient, LeaseClient
from tests.service_faults import guests
from tests.support.wait import wait_until

BROKEN = r"OperationalError|AdminShutdown"
"""How a connection that was cut fails."""


class Failed(Exception):
    """What the worker was told to do failed; the message begins with the error's name."""


class Puppet:
    """Starts a worker; what it is told may use ``client``, and all of the module ``guests``.

    *options* are the client's. With *tasks* it is an AsyncLeaseClient.
    """

    def __init__(self, target: str, *, tasks: bool = False, **options: Any) -> None:
        self.tasks = tasks
        self._is_idle = True
        self._wait = "await " if tasks else ""
        setup = json.dumps({"target": target, "tasks": tasks, "options": options})
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__, setup],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.pid}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        if self._is_idle and self._process.poll() is None:
            self.go_on()
            self.start(f"{self._wait}client.close(0)")
            self._process.communicate(timeout=30)
        else:
            self.kill()

    @property
    def pid(self) -> int:
        return self._process.pid

    # -- orders --------------------------------------------------------------------------------

    def do(self, code: str) -> Any:
        """Run *code*; return its value if it is an expression. Raises Failed."""
        self.start(code)
        return self.finish()

    def start(self, code: str) -> None:
        """As ``do``, but does not wait: ``finish`` does."""
        assert self._process.stdin is not None
        self._is_idle = False
        self._process.stdin.write(json.dumps(code) + "\n")
        self._process.stdin.flush()

    def finish(self) -> Any:
        """Return the value of what was started. Raises Failed."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, f"the worker has ended with {self._process.wait()}"
        answer = json.loads(line)
        self._is_idle = True
        if "error" in answer:
            raise Failed(answer["error"])
        return answer["value"]

    def be_ready(self) -> Self:
        """Wait until it runs."""
        self.do("None")
        return self

    def hangs(self) -> None:
        """Wait until it says that it does nothing any more."""
        assert self._process.stdout is not None
        assert json.loads(self._process.stdout.readline()) == "hangs"

    def take(self, tenant: str, name: str = "conn", **options: Any) -> int:
        """Borrow a connection and call it *name*; return the number of its backend."""
        given = "".join(f", {key}={value!r}" for key, value in options.items())
        self.do(f"{name} = {self._wait}client.acquire({tenant!r}{given})")
        return int(self.run("select pg_backend_pid()", name))

    def run(self, statement: str, name: str = "conn") -> Any:
        """Run a statement; return the first value of its first row, if it has any."""
        self.do(f"cursor = {self._wait}{name}.execute({statement!r})")
        return self.do(f"({self._wait}cursor.fetchone())[0] if cursor.description else None")

    def give_back(self, name: str = "conn") -> None:
        """Give a connection back, committed; raises Failed."""
        self.do(f"{self._wait}{name}._pool.end(failed=False)")

    # -- signals -------------------------------------------------------------------------------

    def kill(self) -> None:
        """As with kill -9."""
        self._process.kill()
        self._process.communicate()

    def stop(self) -> None:
        """As with kill -STOP; blocks until it has stopped."""
        os.kill(self.pid, signal.SIGSTOP)
        stat = Path(f"/proc/{self.pid}/stat")
        wait_until(lambda: stat.read_text().rpartition(")")[2].split()[0] == "T", what="its stop")

    def go_on(self) -> None:
        """As with kill -CONT."""
        os.kill(self.pid, signal.SIGCONT)


class Program:
    """The process."""

    def __init__(self, target: str, tasks: bool, options: dict[str, Any]) -> None:
        kind: Any = AsyncLeaseClient if tasks else LeaseClient
        options = {"linger": 0, "kwargs": {"autocommit": True}, **options}
        self._names = {**vars(guests), "target": target, "client": kind(target, **options)}

    def run(self) -> None:
        """Obey, and block meanwhile."""
        for line in sys.stdin:
            try:
                self._say(value=self._eval(json.loads(line)))
            except Exception as error:
                self._say(error=f"{type(error).__name__}: {error}")

    async def run_tasks(self) -> None:
        """Obey, and let tasks run meanwhile."""
        loop = asyncio.get_running_loop()
        while line := await loop.run_in_executor(None, sys.stdin.readline):
            try:
                value = self._eval(json.loads(line))
                self._say(value=await value if asyncio.iscoroutine(value) else value)
            except Exception as error:
                self._say(error=f"{type(error).__name__}: {error}")

    def _eval(self, code: str) -> Any:
        try:
            compiled = compile(code, "<order>", "eval", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        except SyntaxError:
            compiled = compile(code, "<order>", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        return eval(compiled, self._names)

    def _say(self, **answer: Any) -> None:
        print(json.dumps(answer, default=repr), flush=True)


if __name__ == "__main__":
    program = Program(**json.loads(sys.argv[1]))
    if json.loads(sys.argv[1])["tasks"]:
        asyncio.run(program.run_tasks())
    else:
        program.run()

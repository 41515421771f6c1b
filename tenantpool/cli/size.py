"""``tenantpool size``: the sizing rules of thumb, with formula, inputs and result."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Annotated

import typer

from tenantpool import sizing

app = typer.Typer(
    help="How many connections are enough? Four rules of thumb, each for another question.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    epilog="[bold]Example[/bold]: [cyan]tenantpool size rate --rps 100 --query 0.05 --limit 200"
    "[/cyan] (every rule also takes --json).",
)

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object, for scripts.")]
Cores = Annotated[int, typer.Option(help="Cores, without hyper-threads.")]


@dataclass(frozen=True, slots=True)
class Answer:
    """What a rule says: its formula, what went in, what came out, and a remark."""

    formula: str
    inputs: dict[str, float]
    result: dict[str, float]
    note: str


@app.command()
def disks(
    cores: Cores,
    spindles: Annotated[int, typer.Option(help="Disks that seek; 0 if all is in memory.")],
    as_json: Json = False,
) -> None:
    """What keeps a database server busy: its cores and disks."""
    with _bad_input():
        connections = sizing.by_disks(cores, spindles)
    answer = Answer(
        formula="cores × 2 + spindles",
        inputs={"cores": cores, "spindles": spindles},
        result={"connections": connections},
        note="Active connections of the whole server, all clients together.",
    )
    _print(answer, as_json)


@app.command()
def wait(
    cores: Cores,
    wait: Annotated[float, typer.Option(help="Time a request waits for the database.")],
    service: Annotated[float, typer.Option(help="Time it computes, in the same unit.")],
    as_json: Json = False,
) -> None:
    """What keeps the cores of a client busy: its waiting and computing."""
    with _bad_input():
        connections = sizing.by_wait(cores, wait, service)
    answer = Answer(
        formula="cores × (1 + wait / service)",
        inputs={"cores": cores, "wait": wait, "service": service},
        result={"connections": connections},
        note="Threads of one client; each holds one connection at most.",
    )
    _print(answer, as_json)


@app.command()
def rate(
    rps: Annotated[float, typer.Option(help="Requests per second at the peak.")],
    query: Annotated[float, typer.Option(help="Mean time of a request's queries, in seconds.")],
    limit: Annotated[int, typer.Option(help="Connections that the database gives.")],
    as_json: Json = False,
) -> None:
    """What a load needs: its requests per second and the time of their queries."""
    with _bad_input():
        size = sizing.by_rate(rps, query, limit)
    answer = Answer(
        formula="rps × query × 1.2, at most limit; "
        "min_size = max(5, a third), overflow = max(10, a half)",
        inputs={"rps": rps, "query": query, "limit": limit},
        result=asdict(size),
        note="The text this comes from claims 17/50/25 for 100 rps, 0.05 s and a limit of 200; "
        "its own formula gives 6 connections, min_size 5 and overflow 10. "
        "The floors of 5 and 10 are the formula's too, however small the load.",
    )
    _print(answer, as_json)


@app.command()
def little(
    rate: Annotated[float, typer.Option(help="Leases per second (λ).")],
    held: Annotated[
        float, typer.Option(help="Seconds each is held, from borrowing to giving back (W).")
    ],
    as_json: Json = False,
) -> None:
    """What is in use on average: Little's law."""
    with _bad_input():
        mean = sizing.by_littles_law(rate, held)
    answer = Answer(
        formula="L = λ × W",
        inputs={"rate": rate, "held": held},
        result={"mean_in_use": mean, "connections": math.ceil(round(mean, 9))},
        note="A mean, exact but without any peak: a pool of this size would have a long queue.",
    )
    _print(answer, as_json)


@contextmanager
def _bad_input() -> Iterator[None]:
    """A value that the formula cannot take is a mistake of usage: one line, exit code 2."""
    try:
        yield
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def _print(answer: Answer, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(asdict(answer), ensure_ascii=False))
        return
    typer.echo(f"formula  {answer.formula}")
    typer.echo(f"inputs   {_listed(answer.inputs)}")
    typer.secho(f"result   {_listed(answer.result)}", bold=True)
    typer.echo(f"note     {answer.note}")


def _listed(values: dict[str, float]) -> str:
    return ", ".join(f"{name} = {value:g}" for name, value in values.items())

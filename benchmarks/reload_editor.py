"""The process that writes a configuration anew, again and again, until it is ended."""

from __future__ import annotations

import sys
from itertools import cycle
from pathlib import Path
from time import sleep

import yaml

TENANTS = 8


def main() -> None:
    path, dsn, rate = Path(sys.argv[1]), sys.argv[2], float(sys.argv[3])
    new = path.with_suffix(".new")
    for text in cycle([text_of(dsn, cap) for cap in (10, 11)]):
        new.write_text(text)
        new.rename(path)  # nobody finds it half written
        sleep(1 / rate)


def text_of(dsn: str, cap: int) -> str:
    """A configuration in which all tenants are of a tier with that *cap*."""
    tenants = {f"tenant{n}": {"dbname": "postgres"} for n in range(TENANTS)}
    databases = {"main": {"conninfo": dsn, "capacity": 40}}
    tiers = {"basic": {"cap": cap, "min_size": 0}}
    return yaml.safe_dump({"databases": databases, "tiers": tiers, "tenants": tenants})


if __name__ == "__main__":
    main()

"""Generate tenantpool/v1 from protos/tenantpool/v1.

    python tools/generate_protos.py            write what changed
    python tools/generate_protos.py --check    print a diff and exit 1 when something is stale

The stubs refuse a grpcio that is older than their generator, so this runs with the oldest one that
is supported: the extra ``dev`` pins it. A file without a service gets no ``_pb2_grpc.py``.
"""

from __future__ import annotations

import argparse
import difflib
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import google.rpc.status_pb2
import grpc_tools
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from grpc_tools import protoc

ROOT = Path(__file__).resolve().parent.parent
PROTOS = ROOT / "protos"

INIT = '"""Generated from protos/tenantpool/v1 by tools/generate_protos.py: do not edit."""\n'

_INCLUDES = (
    Path(grpc_tools.__file__).parent / "_proto",  # google/protobuf
    Path(google.rpc.status_pb2.__file__).parents[2],  # google/rpc
)


class GenerateError(Exception):
    """protoc refused the protos; it has said why on stderr."""


def find_protos(folder: Path) -> list[str]:
    """The protos below *folder*, relative to it."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*.proto"))


def compile_protos(folder: Path, *options: str) -> None:
    """Run protoc over all protos below *folder*; a warning is an error. Raises GenerateError."""
    includes = [f"-I{path}" for path in (folder, *_INCLUDES)]
    command = ["protoc", "--fatal_warnings", *includes, *options, *find_protos(folder)]
    if protoc.main(command):  # type: ignore[no-untyped-call]
        raise GenerateError(f"{folder}: protoc failed")


def describe(folder: Path) -> FileDescriptorSet:
    """The protos below *folder* with their comments. Raises GenerateError."""
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch, "protos.binpb")
        compile_protos(folder, "--include_source_info", f"--descriptor_set_out={path}")
        return FileDescriptorSet.FromString(path.read_bytes())


def generate(folder: Path) -> dict[Path, str]:
    """The modules of the protos below *folder*, by relative path. Raises GenerateError."""
    with tempfile.TemporaryDirectory() as scratch:
        outputs = [f"--{kind}_out={scratch}" for kind in ("python", "pyi", "grpc_python")]
        compile_protos(folder, *outputs)
        made = {path.relative_to(scratch): path for path in sorted(Path(scratch).rglob("*.py*"))}
        modules = {name: path.read_text(encoding="utf-8") for name, path in made.items()}
    packages = dict.fromkeys((name.parent / "__init__.py" for name in modules), INIT)
    return {name: text for name, text in modules.items() if not _is_empty(name, text)} | packages


def _is_empty(name: Path, text: str) -> bool:
    return name.name.endswith("_pb2_grpc.py") and "Servicer" not in text


def run(protos: Path, target: Path, *, check: bool) -> int:
    """Update or check the modules below *target*; return the exit code."""
    wanted: dict[Path, str | None] = {target / name: t for name, t in generate(protos).items()}
    wanted.update(dict.fromkeys(_find_orphans(wanted)))
    stale = [path for path, text in wanted.items() if text != _read(path)]
    for path in stale:
        if check:
            print(_diff(path, _read(path) or "", wanted[path] or ""))
        else:
            _write(path, wanted[path])
            print(f"updated {path}")
    if check and stale:
        print(f"{len(stale)} generated modules not up to date: run `make protos`", file=sys.stderr)
    return 1 if check and stale else 0


def _find_orphans(wanted: Mapping[Path, str | None]) -> list[Path]:
    """What lies beside the modules and is none of them: its proto is gone."""
    folders = {path.parent for path in wanted}
    return sorted(p for f in folders for p in f.glob("*.py*") if p not in wanted)


def _write(path: Path, text: str | None) -> None:
    if text is None:
        path.unlink()
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def _read(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.exists() else None


def _diff(path: Path, old: str, new: str) -> str:
    lines = old.splitlines(), new.splitlines()
    return "\n".join(difflib.unified_diff(*lines, str(path), f"{path} (wanted)", lineterm=""))


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="generate tenantpool/v1 from the protos")
    parser.add_argument("--check", action="store_true", help="print a diff, change nothing")
    parser.add_argument("--protos", type=Path, default=PROTOS, help="folder of the protos")
    parser.add_argument("--target", type=Path, default=ROOT, help="folder to write into")
    options = parser.parse_args(arguments)
    try:
        return run(options.protos, options.target, check=options.check)
    except GenerateError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())

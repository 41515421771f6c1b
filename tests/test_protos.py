"""The protos keep Buf's rules, and the code generated from them is that of the oldest toolchain."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools.generate_protos import INIT, PROTOS, describe, main
from tools.lint_protos import lint

GOOD = """\
// A file.
syntax = "proto3";

package shop.v1;

// A colour.
enum Colour {
  // Not said.
  COLOUR_UNSPECIFIED = 0;
  // Like the sky.
  COLOUR_BLUE = 1;
}

// Sells.
service ShopService {
  // Buys a thing.
  rpc BuyThing(BuyThingRequest) returns (BuyThingResponse);
}

// Wants a thing.
message BuyThingRequest {
  // Its name.
  string thing_name = 1;
  // How it is wrapped.
  oneof wrapping {
    // In paper.
    Colour paper = 2;
  }
  // Numbers by name.
  map<string, uint32> numbers = 3;
}

// A thing.
message BuyThingResponse {}
"""

METHOD = "rpc BuyThing(BuyThingRequest) returns (BuyThingResponse);"


def write(folder: Path, text: str, name: str = "shop/v1/shop.proto") -> Path:
    path = folder / "protos" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return folder / "protos"


def test_the_protos_keep_the_rules() -> None:
    assert [str(finding) for finding in lint(describe(PROTOS))] == []


def test_a_good_file_breaks_no_rule(tmp_path: Path) -> None:
    assert lint(describe(write(tmp_path, GOOD))) == []


@pytest.mark.parametrize(
    ("old", "new", "rules"),
    [
        ("package shop.v1;", "package shop.v2;", {"PACKAGE_DIRECTORY_MATCH"}),
        (
            "package shop.v1;",
            "package shop;",
            {"PACKAGE_DIRECTORY_MATCH", "PACKAGE_VERSION_SUFFIX"},
        ),
        ("COLOUR_UNSPECIFIED", "COLOUR_NONE", {"ENUM_ZERO_VALUE_SUFFIX"}),
        ("COLOUR_BLUE", "BLUE", {"ENUM_VALUE_PREFIX"}),
        ("COLOUR_BLUE", "COLOUR_Blue", {"ENUM_VALUE_UPPER_SNAKE_CASE"}),
        ("thing_name", "thingName", {"FIELD_LOWER_SNAKE_CASE"}),
        ("wrapping", "Wrapping", {"ONEOF_LOWER_SNAKE_CASE"}),
        ("ShopService", "Shop", {"SERVICE_SUFFIX"}),
        ("BuyThingResponse", "Thing", {"RPC_RESPONSE_STANDARD_NAME"}),
        (
            "BuyThingRequest",
            "buyThingRequest",
            {"MESSAGE_PASCAL_CASE", "RPC_REQUEST_STANDARD_NAME"},
        ),
        ("rpc BuyThing(", "rpc buyThing(", {"RPC_PASCAL_CASE"}),
        (
            METHOD,
            f"{METHOD} // Again.\n rpc BuyThings(BuyThingRequest) returns (BuyThingResponse);",
            {"RPC_REQUEST_RESPONSE_UNIQUE", "COMMENT_RPC"},
        ),
        ("  // Its name.\n", "", {"COMMENT_FIELD"}),
        ("  // Like the sky.\n", "", {"COMMENT_ENUM_VALUE"}),
        ("// A colour.\n", "", {"COMMENT_ENUM"}),
        ("// A thing.\n", "", {"COMMENT_MESSAGE"}),
        ("// Sells.\n", "", {"COMMENT_SERVICE"}),
        ("  // How it is wrapped.\n", "", {"COMMENT_ONEOF"}),
    ],
)
def test_a_broken_rule_is_found(tmp_path: Path, old: str, new: str, rules: set[str]) -> None:
    found = {finding.rule for finding in lint(describe(write(tmp_path, GOOD.replace(old, new))))}
    assert found >= rules
    assert found - rules <= {"RPC_REQUEST_STANDARD_NAME", "RPC_RESPONSE_STANDARD_NAME"}


def test_a_file_has_a_name_in_snake_case(tmp_path: Path) -> None:
    protos = write(tmp_path, GOOD, "shop/v1/ShopFile.proto")
    assert [finding.rule for finding in lint(describe(protos))] == ["FILE_LOWER_SNAKE_CASE"]


# -- the generator -----------------------------------------------------------------------------


def generate(folder: Path, *more: str) -> int:
    return main(["--protos", str(folder / "protos"), "--target", str(folder), *more])


def test_modules_are_written_once_and_orphans_go(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path, GOOD)
    write(tmp_path, 'syntax = "proto3";\npackage shop.v1;\nmessage A {}\n', "shop/v1/a.proto")
    assert generate(tmp_path) == 0
    package = tmp_path / "shop" / "v1"
    assert {path.name for path in package.iterdir()} == {
        *("__init__.py", "a_pb2.py", "a_pb2.pyi"),
        *("shop_pb2.py", "shop_pb2.pyi", "shop_pb2_grpc.py"),
    }
    assert (package / "__init__.py").read_text() == INIT
    capsys.readouterr()
    assert generate(tmp_path) == 0
    assert capsys.readouterr().out == ""
    (tmp_path / "protos/shop/v1/a.proto").unlink()
    assert generate(tmp_path) == 0
    assert not (package / "a_pb2.py").exists()


def test_a_stale_module_fails_the_check(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path, GOOD)
    generate(tmp_path)
    write(tmp_path, GOOD.replace("thing_name", "name"))
    capsys.readouterr()
    before = (tmp_path / "shop/v1/shop_pb2.py").read_text()
    assert generate(tmp_path, "--check") == 1
    printed = capsys.readouterr()
    assert "+    name: str" in printed.out
    assert "run `make protos`" in printed.err
    assert (tmp_path / "shop/v1/shop_pb2.py").read_text() == before


@pytest.mark.parametrize("more", ["message {", 'import "google/protobuf/any.proto";'])
def test_what_protoc_complains_about_is_an_error(tmp_path: Path, more: str) -> None:
    write(tmp_path, GOOD.replace("// A colour.", f"{more}\n// A colour."))
    assert generate(tmp_path) == 1

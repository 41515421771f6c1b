"""As much of grpcurl as the documents use, for machines without it: it knows what is reflected.

grpcurl -plaintext [-d JSON] TARGET (list | describe SYMBOL | SERVICE/METHOD)
"""

from __future__ import annotations

import argparse
import sys
from typing import Any

import grpc
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.json_format import MessageToJson, Parse
from google.protobuf.message_factory import GetMessageClass
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)

_CODES_FROM = 64
"""The exit code is this and the status code, as grpcurl's."""


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("-plaintext", action="store_true", required=True)
    parser.add_argument("-d", dest="data", default="{}")
    parser.add_argument("target")
    parser.add_argument("verb")
    parser.add_argument("symbol", nargs="?", default="")
    words = parser.parse_args()
    with grpc.insecure_channel(words.target) as channel:
        database = ProtoReflectionDescriptorDatabase(channel)
        pool = DescriptorPool(database)
        match words.verb:
            case "list":
                print(*sorted(database.get_services()), sep="\n")
            case "describe":
                service = pool.FindServiceByName(words.symbol)
                print(*(f"rpc {method.name}" for method in service.methods), sep="\n")
            case _:
                return call(channel, pool, words.verb, words.data)
    return 0


def call(channel: grpc.Channel, pool: DescriptorPool, path: str, data: str) -> int:
    service, _, name = path.partition("/")
    method = pool.FindServiceByName(service).methods_by_name[name]
    rpc: Any = channel.unary_unary(
        f"/{path}",
        request_serializer=lambda message: message.SerializeToString(),
        response_deserializer=GetMessageClass(method.output_type).FromString,
    )
    try:
        answer = rpc(Parse(data, GetMessageClass(method.input_type)()))
    except grpc.RpcError as error:
        print(f"ERROR:\n  Code: {error.code().name}\n  Message: {error.details()}", file=sys.stderr)
        return _CODES_FROM + int(error.code().value[0])
    print(MessageToJson(answer, preserving_proto_field_name=True))
    return 0


if __name__ == "__main__":
    sys.exit(main())

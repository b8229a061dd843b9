"""Types of protobuf's messages, made from a description of the fields that the server reads."""

from collections.abc import Mapping, Sequence
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

REPEATED, OPTIONAL = 3, 1
INT64, INT32, FIXED64, FIXED32, STRING, BYTES = 3, 5, 6, 7, 9, 12

Fields = Mapping[str, tuple[int, int, int]]


def message_types(package: str, messages: Mapping[str, Fields]) -> Sequence[Any]:
    """Return a class for each message.

    Two bytes of a request can stand for an empty message of some 100 bytes in memory. Give nested messages the type
    `BYTES`, therefore, and parse them one by one.

    Args:
        package: A name that no other call uses.
        messages: By the name of each message its fields: the number, the label and the type, by their names.
    """
    pool = descriptor_pool.DescriptorPool()
    file = descriptor_pb2.FileDescriptorProto(name=f"{package}.proto", package=package, syntax="proto3")
    for name, fields in messages.items():
        message = file.message_type.add(name=name)
        for field, (number, label, kind) in fields.items():
            message.field.add(name=field, number=number, label=label, type=kind)
    pool.Add(file)
    return [message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{package}.{name}")) for name in messages]

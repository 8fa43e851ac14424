"""Requests of any message by its descriptor: with what is known, with what is odd, and bytes that are no message."""

import random
import string
from collections.abc import Mapping, Sequence
from typing import Any

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor, MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

MOST_DEPTH = 4
_ODD_TEXT = (
    "",
    " ",
    "\x00",
    "\n",
    "0",
    "-1",
    "1e309",
    "9" * 40,
    "18446744073709551616",
    "NaN",
    "null",
    "%",
    "_%",
    "' OR 1=1 -- ",
    "../../etc/passwd",
    "ﬀ\u0301",
    "\u202eabc",
    "😀" * 20,
    "é" * 64,
    "a" * 64,
    "a" * 65,
    "x" * 255,
    "x" * 256,
    "y" * 70_000,
    "2026-02-30T25:61:61Z",
)
_BOUNDS: Mapping[int, tuple[int, int]] = {
    FieldDescriptor.CPPTYPE_INT32: (-(2**31), 2**31 - 1),
    FieldDescriptor.CPPTYPE_INT64: (-(2**63), 2**63 - 1),
    FieldDescriptor.CPPTYPE_UINT32: (0, 2**32 - 1),
    FieldDescriptor.CPPTYPE_UINT64: (0, 2**64 - 1),
}
_ODD_NUMBERS = (0, 1, -1, 2, 100, 1000, 2**31 - 1, -(2**31), 2**53, 253402300800, -62135596801)
_ODD_FLOATS = (0.0, -0.0, 1.5, -1e308, 1e308, float("inf"), float("-inf"), float("nan"))


class RandomRequests:
    """Of one seed, around things that are there."""

    def __init__(self, chosen: random.Random, known: Mapping[str, Sequence[str]], media: bytes) -> None:
        """`known` are ids of what is there, by the name of their field; `media` is a photo."""
        self._chosen = chosen
        self._known = known
        self._media = media
        self._oddness = 0.0

    def messages(self, method: MethodDescriptor) -> list[bytes]:
        """What one call sends: a message, or some where the method takes a stream."""
        count = self._chosen.choice((0, 1, 2, 3, 12)) if method.client_streaming else 1
        # What is odd everywhere is refused at its first field.
        self._oddness = self._chosen.choice((0.0, 0.03, 0.1, 0.5))
        return [self._bytes(method.input_type) for _ in range(count)]

    def metadata(self, ids: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
        """Mostly somebody who may do something; `ids` are the actors' by role."""
        chosen = self._chosen.random()
        if chosen < 0.05:
            return ()
        if chosen < 0.15:
            return tuple(
                (
                    name,
                    "".join(
                        self._chosen.choices(string.printable[:94], k=self._chosen.randrange(40))
                    ).strip(),
                )
                for name in ("actor-role", "actor-id", "x-call-id", "traceparent")
            )
        role = self._chosen.choice(list(ids))
        return (("actor-role", role), ("actor-id", ids[role]))

    def _bytes(self, kind: Descriptor) -> bytes:
        if self._chosen.random() < self._oddness / 3:
            return self._chosen.randbytes(self._chosen.randrange(300))
        content = bytearray(self.message(kind).SerializeToString())
        if content and self._odd():
            for _ in range(self._chosen.randint(1, 4)):
                content[self._chosen.randrange(len(content))] = self._chosen.randrange(256)
        return bytes(content)

    def message(self, kind: Descriptor, depth: int = 0) -> Message:
        """A message of this kind, filled in at random."""
        message = GetMessageClass(kind)()
        for field in kind.fields:
            if depth < MOST_DEPTH and self._chosen.random() < 0.75:
                self._fill(message, field, depth)
        return message

    def _fill(self, message: Message, field: FieldDescriptor, depth: int) -> None:
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            self._fill_map(getattr(message, field.name), field.message_type)
        elif field.is_repeated:
            for _ in range(600 if depth == 0 and self._odd() else self._chosen.choice((0, 1, 1, 2))):
                if field.message_type is not None:
                    getattr(message, field.name).add().CopyFrom(self.message(field.message_type, depth + 1))
                else:
                    getattr(message, field.name).append(self._value(field))
        elif field.message_type is not None:
            getattr(message, field.name).CopyFrom(self.message(field.message_type, depth + 1))
        else:
            setattr(message, field.name, self._value(field))

    def _fill_map(self, to: Any, entry: Descriptor) -> None:
        key, value = entry.fields_by_name["key"], entry.fields_by_name["value"]
        for _ in range(self._chosen.randrange(4)):
            if value.message_type is None:
                to[self._value(key)] = self._value(value)

    def _value(self, field: FieldDescriptor) -> Any:
        if field.enum_type is not None:
            return self._number_of(field.enum_type)
        if field.type == FieldDescriptor.TYPE_BYTES:
            some = self._chosen.randbytes(self._chosen.randrange(400))
            return self._chosen.choice((b"", some, self._media[:100] + some)) if self._odd() else self._media
        if field.cpp_type == FieldDescriptor.CPPTYPE_STRING:
            return self._text(field.name)
        if field.cpp_type == FieldDescriptor.CPPTYPE_BOOL:
            return self._chosen.random() < 0.5
        if field.cpp_type in _BOUNDS:
            return self._whole(*_BOUNDS[field.cpp_type])
        return self._chosen.choice(_ODD_FLOATS)

    def _number_of(self, kind: EnumDescriptor) -> int:
        if self._odd():
            return self._chosen.choice((99, -1))
        return self._chosen.choice([value.number for value in kind.values])

    def _whole(self, least: int, most: int) -> int:
        if not self._odd():
            return self._chosen.randint(0, 9)
        odd = (least, most, self._chosen.randint(least, most), *_ODD_NUMBERS)
        return min(max(self._chosen.choice(odd), least), most)

    def _text(self, name: str) -> str:
        if not self._odd():
            one = name.removesuffix("s")
            return self._chosen.choice(self._known.get(one, ("", "A")))
        if self._chosen.random() < 0.3:
            return self._chosen.choice(self._chosen.choice(list(self._known.values())))
        if self._chosen.random() < 0.7:
            return self._chosen.choice(_ODD_TEXT)
        letters = (self._chosen.randrange(self._chosen.choice((128, 0xD800))) for _ in range(12))
        return "".join(map(chr, letters))

    def _odd(self) -> bool:
        return self._chosen.random() < self._oddness

"""No type that msgspec reads is one of those that crash a program at its end.

msgspec 0.22.0 takes a text with a pattern and a list, tuple or object in one union, and frees the
wrong memory when its type goes: a segmentation fault as the program ends, one time in four.
"""

import importlib
import pkgutil
from collections.abc import Iterator

import msgspec
import pytest
from msgspec import inspect

import edge.wire
import provisioning

PACKAGES = (edge.wire, provisioning)
MANY = (
    inspect.ListType,
    inspect.SetType,
    inspect.FrozenSetType,
    inspect.VarTupleType,
    inspect.TupleType,
    inspect.DictType,
)


def crashes(kind: inspect.Type) -> bool:
    """Whether this very type is such a union."""
    if not isinstance(kind, inspect.UnionType):
        return False
    parts = [one.type if isinstance(one, inspect.Metadata) else one for one in kind.types]
    patterned = any(isinstance(one, inspect.StrType) and one.pattern for one in parts)
    return patterned and any(isinstance(one, MANY) for one in parts)


def inside(kind: inspect.Type) -> Iterator[inspect.Type]:
    """`kind` and the types within it, fields of other structs aside."""
    yield kind
    if isinstance(kind, inspect.UnionType):
        for one in kind.types:
            yield from inside(one)
    elif isinstance(kind, inspect.Metadata):
        yield from inside(kind.type)
    elif isinstance(kind, inspect.DictType):
        yield from inside(kind.key_type)
        yield from inside(kind.value_type)
    elif isinstance(kind, inspect.TupleType):
        for one in kind.item_types:
            yield from inside(one)
    elif isinstance(kind, MANY):
        yield from inside(kind.item_type)


def bad_fields(struct: type[msgspec.Struct]) -> list[str]:
    info = inspect.type_info(struct)
    assert isinstance(info, inspect.StructType)
    return [
        f"{struct.__module__}.{struct.__qualname__}.{field.name}"
        for field in info.fields
        if any(crashes(one) for one in inside(field.type))
    ]


def structs(above: type[msgspec.Struct] = msgspec.Struct) -> Iterator[type[msgspec.Struct]]:
    for struct in above.__subclasses__():
        if struct.__module__.startswith(tuple(package.__name__ for package in PACKAGES)):
            yield struct
        yield from structs(struct)


def test_no_field_of_a_struct_is_of_such_a_type() -> None:
    for package in PACKAGES:
        for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
            if not module.name.endswith("__main__"):
                importlib.import_module(module.name)
    every = list(structs())
    assert len(every) > 30
    assert [field for struct in every for field in bad_fields(struct)] == []


# Described, and not made: such a type would crash these tests.
PATTERNED, PLAIN = inspect.StrType(pattern="^a$"), inspect.StrType(max_length=2)
LIST = inspect.ListType(PATTERNED)
OBJECT = inspect.DictType(PATTERNED, LIST)
BAD = inspect.UnionType((PATTERNED, inspect.ListType(inspect.IntType())))


@pytest.mark.parametrize(
    ("kind", "bad"),
    [
        (BAD, True),
        (inspect.UnionType((PATTERNED, inspect.NoneType(), inspect.Metadata(LIST))), True),
        (inspect.UnionType((PATTERNED, OBJECT)), True),
        (inspect.UnionType((PATTERNED, inspect.TupleType((PLAIN,)))), True),
        (inspect.DictType(PLAIN, BAD), True),
        (inspect.ListType(inspect.Metadata(BAD)), True),
        (inspect.UnionType((PLAIN, inspect.VarTupleType(BAD))), True),
        (LIST, False),
        (OBJECT, False),
        (inspect.UnionType((PLAIN, LIST)), False),
        (inspect.UnionType((PATTERNED, inspect.IntType())), False),
    ],
    ids=str,
)
def test_the_walk_finds_such_a_type(kind: inspect.Type, bad: bool) -> None:
    assert any(crashes(one) for one in inside(kind)) == bad

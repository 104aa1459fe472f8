"""The body ``application/vnd.clew.columns``."""

from __future__ import annotations

import json

import numpy as np
import pytest

from clew.convert.columns import TYPES, decode_columns, encode_columns


def test_what_is_encoded_is_decoded():
    """Every type at its limits, an odd number of rows, an empty table."""
    limits = {"f64": [-1.5, 0, 2.0**52], "u32": [0, 1, 2**32 - 1], "i32": [-(2**31), -1, 2**31 - 1],
              "u16": [0, 1, 2**16 - 1], "u8": [0, 1, 255]}  # fmt: skip
    assert limits.keys() == TYPES.keys()
    tables = {
        "all": {name: (name, np.array(values)) for name, values in limits.items()},
        "none": {"x": ("u32", np.empty(0, np.int64))},
    }

    head, decoded = decode_columns(bytes(encode_columns({"name": "schön"}, tables)))

    assert head["name"] == "schön"
    assert {name: values.tolist() for name, values in decoded["all"].items()} == limits
    assert decoded["none"]["x"].tolist() == []


@pytest.mark.parametrize("padding", range(9))
def test_columns_stand_at_multiples_of_eight(padding):
    """Of the body too, whatever the length of the head: a Float64Array needs that."""
    tables = {"t": {"a": ("u8", np.arange(3)), "b": ("f64", np.arange(3)), "c": ("u16", np.arange(3))}}

    body = encode_columns({"pad": "x" * padding}, tables)

    length = int.from_bytes(body[:4], "little")
    head = json.loads(body[4 : 4 + length])
    offsets = [column["offset"] for column in head["tables"]["t"]["columns"].values()]
    assert (4 + length) % 8 == 0
    assert offsets == [0, 8, 32]
    assert len(body) == 4 + length + 40


def test_texts_that_are_no_unicode_do_not_break_the_head():
    """A surrogate out of a file name becomes a question mark."""
    head, _ = decode_columns(encode_columns({"labels": ["\udc80"]}, {}))

    assert head["labels"] == ["?"]

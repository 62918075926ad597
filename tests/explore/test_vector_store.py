"""A flat store numbers rows as they come, finds the nearest, and lets nobody change what it holds."""

import numpy as np
import pytest

from mmexplorer.errors import Refusal
from mmexplorer.explore.vector_store import FlatStore

ROWS = np.array([[1, 0], [0, 1], [0.6, 0.8]], np.float32)


def test_search_among_rows_that_were_added():
    store = FlatStore(ROWS[:1])
    store.add(ROWS[1:])
    assert len(store) == 3
    found = store.search(np.array([[0, 1], [1, 0]], np.float32), 2)
    assert found.indices.tolist() == [[1, 2], [0, 2]]
    np.testing.assert_allclose(found.cosines, [[1, 0.8], [1, 0.6]], atol=1e-6)
    assert store.take([2, 0]).tolist() == ROWS[[2, 0]].tolist()


def test_an_empty_store_takes_rows_of_any_length():
    store = FlatStore(np.empty((0, 5), np.float32))
    assert len(store) == 0
    store.add(ROWS)
    assert store.vectors().tolist() == ROWS.tolist()


def test_rows_of_another_length_are_refused():
    store = FlatStore(ROWS)
    with pytest.raises(Refusal, match="length 2, not of 3"):
        store.add(np.ones((1, 3), np.float32))
    assert len(store) == 3


def test_what_it_holds_is_its_own():
    rows = ROWS.copy()
    store = FlatStore(rows)
    rows[:] = 0
    assert store.vectors().tolist() == ROWS.tolist()
    with pytest.raises(ValueError, match="read-only"):
        store.vectors()[0] = 0

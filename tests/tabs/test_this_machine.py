"""Who counts as sitting at the machine that serves the page."""

from types import SimpleNamespace

import pytest

from mmexplorer.tabs.this_machine import from_this_machine


def visitor(host: str | None, **headers: str):
    return SimpleNamespace(client=host and SimpleNamespace(host=host), headers=headers)


@pytest.mark.parametrize(
    ("host", "headers", "trusted"),
    [
        ("127.0.0.1", {}, True),
        ("::1", {"accept": "text/html"}, True),
        ("192.168.1.7", {}, False),
        (None, {}, False),
        ("127.0.0.1", {"X-Forwarded-For": "10.0.0.1"}, False),
        ("127.0.0.1", {"forwarded": "for=10.0.0.1"}, False),
    ],
)
def test_only_who_asks_from_there_and_through_no_proxy(host, headers, trusted):
    assert from_this_machine(visitor(host, **headers)) is trusted

"""Keys, the audit log and leases."""

import threading

import pytest

from clew.store import audit, keys, leases
from clew.store.errors import StoreError
from clew.store.store import Store


def test_a_key_opens_and_is_not_kept(store: Store):
    """Only who has it knows it."""
    made = keys.make(store, "ci", "operator")

    assert made.secret.startswith("clew_")
    assert len(made.secret) == 5 + 43
    assert keys.find(store, made.secret) == made.key
    assert keys.list_keys(store) == [made.key]
    with store.engine.connect() as connection:
        stored = str(connection.exec_driver_sql("SELECT * FROM api_keys").all())
    assert made.secret not in stored
    assert made.secret[5:] not in stored


@pytest.mark.parametrize("secret", ["", "clew_", "clew_" + "a" * 43, "\ud800", "x\0y", "' OR 1=1 --"])
def test_another_key_does_not_open(store: Store, secret):
    """Whatever is sent as one."""
    keys.make(store, "ci", "admin")

    assert keys.find(store, secret) is None


def test_a_revoked_key_does_not_open(store: Store):
    """It stays in the list; revoking it again changes nothing."""
    made, other = keys.make(store, "a", "viewer"), keys.make(store, "b", "admin")

    assert keys.revoke(store, made.key.key_id)

    assert keys.find(store, made.secret) is None
    assert keys.find(store, other.secret) == other.key
    assert not keys.revoke(store, made.key.key_id)
    assert not keys.revoke(store, "no\0ne")
    listed = {key.name: key.revoked_ns for key in keys.list_keys(store)}
    assert listed["a"] is not None
    assert listed["b"] is None


@pytest.mark.parametrize(
    ("name", "role", "slug"),
    [
        ("a", "root", "key-role"),
        ("", "admin", "key-name"),
        (" ", "admin", "key-name"),
        ("a" * 101, "admin", "key-name"),
    ],
)
def test_a_key_needs_a_name_and_a_role(sqlite_store: Store, name, role, slug):
    """No key is made otherwise."""
    with pytest.raises(StoreError) as caught:
        keys.make(sqlite_store, name, role)

    assert caught.value.slug == slug
    assert keys.list_keys(sqlite_store) == []


def test_the_log_says_who_did_what(store: Store):
    """Latest first, in pages."""
    for i in range(5):
        audit.record(store, "ann", "run.delete", subject=str(i), details={"n": i}, request_id="r" * 40)

    latest = audit.entries(store, limit=2)
    rest = audit.entries(store, before_id=latest[-1].id)

    assert [entry.subject for entry in latest + rest] == ["4", "3", "2", "1", "0"]
    assert latest[0][2:] == ("ann", "run.delete", "4", {"n": 4}, "r" * 32)
    assert latest[0].at_ns >= rest[-1].at_ns > 0


def test_a_line_is_written_with_the_change_it_is_about(store: Store):
    """A change that was not made leaves none."""

    def change() -> None:
        with store.write() as connection:
            audit.record(connection, "ann", "key.make")
            raise RuntimeError("no")

    with pytest.raises(RuntimeError):
        change()

    assert audit.entries(store) == []


def test_a_lease_has_one_holder(store: Store):
    """Until it is given up, or over; its holder can renew it."""
    assert leases.take(store, "worker", "a", 60)
    assert leases.take(store, "worker", "a", 60)
    assert not leases.take(store, "worker", "b", 60)
    assert leases.holder_of(store, "worker") == "a"

    leases.give_up(store, "worker", "b")
    assert leases.holder_of(store, "worker") == "a"
    leases.give_up(store, "worker", "a")
    assert leases.holder_of(store, "worker") is None
    assert leases.take(store, "worker", "b", 0)
    assert leases.holder_of(store, "worker") is None
    assert leases.take(store, "worker", "c", 60)


def test_of_many_that_ask_at_once_one_gets_the_lease(store: Store):
    """All others learn that they did not."""
    barrier = threading.Barrier(6)
    winners: list[int] = []

    def ask(i: int) -> None:
        barrier.wait(10)
        if leases.take(store, "worker", f"holder-{i}", 60):
            winners.append(i)

    threads = [threading.Thread(target=ask, args=(i,)) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)

    assert [f"holder-{i}" for i in winners] == [leases.holder_of(store, "worker")]

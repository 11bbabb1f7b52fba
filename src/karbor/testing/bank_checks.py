"""The promises of `karbor.banks.base.Bank`, each as a function that tries it on an empty bank, with nothing to install.

`BankSuite` runs them as tests, `karbor-manage bank check` below a folder of an operator's bank.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from karbor import clock
from karbor.banks.base import MAX_SEGMENT, AlreadyThere, Bank
from karbor.banks.section import Section
from karbor.model.errors import Invalid, KarborError, NoSuchObject

Check = Callable[[Bank], None]

CHECKS: list[Check] = []
"""All of them; the name of each says what is promised. Each raises Broken where it is not kept."""

ODD_KEYS = (
    "OS::Cinder::Volume/with:colons",
    ".hidden/..two-dots",
    ".../dots",
    "me@40/@3A-looks-escaped",
    "a-/b_/C.d@e:F",
    "x" * MAX_SEGMENT + "/" + ":" * MAX_SEGMENT,
    "deep/" * 20 + "leaf",
)
NO_KEYS = (
    "", "/", "/a", "a/", "a//b", ".", "..", "a/..", "../a", "a/./b", "x" * (MAX_SEGMENT + 1), "a/" * 600 + "a",
    "a b", "a\n", "a%3A", "a\\b", "ä", "a\0", "~", "+incoming",
)  # fmt: skip
NO_PREFIXES = ("/", "/a", "a//", "../", "a/../", "./b", "a b", "+")
UNSORTED = ("b", "a/x", "a-b/x", "a.b", "a0", "a/x-y", "a/X", "a:b/x", "A", "a@/x", "a_/x", "a/x.y", "a-a")
_SHOWN = 200
"""Characters of a value in a message."""


class Broken(KarborError):
    """A promise is not kept."""


class NotPromised(KarborError):
    """The bank says of itself that it cannot do this."""


def try_all(bank: Bank) -> Iterator[tuple[str, Exception | None]]:
    """Try every promise on a bank that is in use, below a folder of its own which is removed at the end.

    The words of each promise and what was wrong: None, NotPromised, or how it was broken. Raises BankError where the
    folder cannot be removed.
    """
    folder = Section(bank, f"check-{clock.new_id()}", writable=True)
    try:
        for check in CHECKS:
            words = check.__name__.replace("_", " ")
            try:
                check(folder.drawer(check.__name__))
            except Exception as wrong:  # noqa: BLE001  (whatever a bank raises that it should not is a promise broken)
                yield words, wrong
            else:
                yield words, None
    finally:
        for key in list(folder.list()):
            folder.delete(key)


def _promise(check: Check) -> Check:
    CHECKS.append(check)
    return check


def _same(what: str, found: object, wanted: object) -> None:
    if found != wanted:
        raise Broken(f"{what}: {repr(found)[:_SHOWN]} was found instead of {repr(wanted)[:_SHOWN]}")


def _refused(what: str, error: type[KarborError], verb: Callable[[], object], named: str = "") -> None:
    """The verb has to raise this error, which names the key."""
    try:
        verb()
    except error as refusal:
        if named not in str(refusal):
            raise Broken(f"{what}: the error does not name {named!r}: {refusal}") from refusal
    else:
        raise Broken(f"{what}: it was done instead of raising {error.__name__}")


@_promise
def what_is_put_is_kept(bank: Bank) -> None:
    for data in (b"", b"x", bytes(range(256)) * 5000):
        bank.put("folder/object", data)
        _same("get", bank.get("folder/object"), data)
        _same("stat", bank.stat("folder/object").size, len(data))


@_promise
def put_replaces_the_whole_object(bank: Bank) -> None:
    bank.put("object", b"long and old")
    bank.put("object", b"new")
    _same("get", bank.get("object"), b"new")
    _same("list", list(bank.list()), ["object"])


@_promise
def every_legal_key_is_kept_as_it_is(bank: Bank) -> None:
    for key in ODD_KEYS:
        bank.put(key, b"data")
        _same(f"get of {key}", bank.get(key), b"data")
        _same("list", list(bank.list()), [key])
        bank.delete(key)
        _same(f"list after {key} was deleted", list(bank.list()), [])


@_promise
def no_verb_takes_what_is_no_key(bank: Bank) -> None:
    for key in NO_KEYS:
        put = partial(bank.put, data=b"")
        verbs: tuple[Callable[[str], object], ...] = (
            put, partial(put, if_absent=True), bank.get, bank.stat, bank.delete,
        )  # fmt: skip
        for verb in verbs:
            _refused(f"the key {key[:_SHOWN]!r}", Invalid, partial(verb, key))
    _same("list", list(bank.list()), [])


@_promise
def a_part_can_be_read(bank: Bank) -> None:
    digits = b"0123456789"
    bank.put("digits", digits)
    for start, length in ((0, 4), (3, None), (3, 4), (8, 4), (10, 4), (99, None), (5, 2**60)):
        end = None if length is None else start + length
        _same(f"get from {start}, length {length}", bank.get("digits", start, length), digits[start:end])
    for start, length in ((-1, None), (0, -1), (-5, 5)):
        _refused(f"get from {start}, length {length}", Invalid, partial(bank.get, "digits", start, length))


@_promise
def what_is_absent_is_named(bank: Bank) -> None:
    bank.put("folder/object", b"data")
    for key in ("absent", "folder", "folder/absent", "folder/object/below", "no/such/folder"):
        for verb in (bank.get, bank.stat):
            _refused(key, NoSuchObject, partial(verb, key), named=key)


@_promise
def an_empty_bank_is_empty(bank: Bank) -> None:
    _same("list", list(bank.list()), [])
    _same("folders", list(bank.folders()), [])
    bank.delete("object")
    _refused("get", NoSuchObject, partial(bank.get, "object"))


@_promise
def delete_may_be_repeated_and_takes_only_its_object(bank: Bank) -> None:
    for key in ("folder/a", "folder/ab", "folder/b"):
        bank.put(key, b"data")
    for key in ("folder/a", "folder/a", "folder", "folder/b/below", "elsewhere/a"):
        bank.delete(key)
    _same("list", list(bank.list()), ["folder/ab", "folder/b"])


@_promise
def a_folder_comes_back_after_its_last_object_went(bank: Bank) -> None:
    for _ in range(2):
        bank.put("one/two/object", b"data")
        bank.delete("one/two/object")
        _same("folders", list(bank.folders()), [])
    bank.put("one/two", b"an object where a folder was")
    _same("list", list(bank.list()), ["one/two"])


@_promise
def list_is_in_the_order_of_characters(bank: Bank) -> None:
    _put_unsorted(bank)
    _same("list", list(bank.list()), sorted(UNSORTED))


@_promise
def list_of_a_prefix(bank: Bank) -> None:
    _put_unsorted(bank)
    for prefix in ("a", "a/", "a/x", "a-", "b", "z", "a:b", "a/x/", "nowhere/at/all"):
        _same(f"list of {prefix}", list(bank.list(prefix)), sorted(key for key in UNSORTED if key.startswith(prefix)))


@_promise
def list_after_any_place(bank: Bank) -> None:
    _put_unsorted(bank)
    for prefix, after in itertools.product(("", "a", "a/"), (*UNSORTED, "", "a/", "a/~", "a-b", "~", "!", "a/w")):
        wanted = sorted(key for key in UNSORTED if key.startswith(prefix) and key > after)
        _same(f"list of {prefix!r} after {after!r}", list(bank.list(prefix, after)), wanted)


@_promise
def list_takes_no_prefix_that_no_key_has(bank: Bank) -> None:
    for prefix in NO_PREFIXES:
        _refused(f"list of {prefix!r}", Invalid, partial(_first, bank, prefix))


@_promise
def objects_may_go_while_they_are_listed(bank: Bank) -> None:
    keys = [f"{folder}/{number}" for folder in "abc" for number in range(3)]
    for key in keys:
        bank.put(key, b"")
    seen = []
    for key in bank.list():
        seen.append(key)
        for gone in keys:
            bank.delete(gone)
    _same("the first key", seen[:1], keys[:1])
    _same("the keys", seen, [key for key in keys if key in seen])
    _same("list", list(bank.list()), [])


@_promise
def folders_are_the_names_that_keys_go_on_after(bank: Bank) -> None:
    _put_unsorted(bank)
    bank.put("c/d/e/object", b"")
    for folder, names in (
        ("", ["a-b", "a", "a:b", "a@", "a_", "c"]), ("c/", ["d"]), ("c/d/e/", []), ("nowhere/", []),
    ):  # fmt: skip
        _same(f"folders of {folder!r}", list(bank.folders(folder)), names)


@_promise
def put_if_absent_changes_nothing_that_is_there(bank: Bank) -> None:
    bank.put("folder/object", b"first", if_absent=True)
    again = partial(bank.put, "folder/object", b"second", if_absent=True)
    _refused("the second put", AlreadyThere, again, named="folder/object")
    _same("get", bank.get("folder/object"), b"first")
    bank.delete("folder/object")
    bank.put("folder/object", b"third", if_absent=True)
    _same("get", bank.get("folder/object"), b"third")


@_promise
def of_many_that_put_if_absent_exactly_one_wins(bank: Bank) -> None:
    if not bank.properties.atomic_create:
        raise NotPromised("this bank says that it cannot do this")
    writers = 6
    start = threading.Barrier(writers)

    def put(key: str, writer: int) -> bool:
        start.wait()
        try:
            bank.put(key, b"%d" % writer, if_absent=True)
        except AlreadyThere:
            return False
        return True

    with ThreadPoolExecutor(writers) as threads:
        for key in (f"new/folder-{number}/object" for number in range(25)):
            won = list(threads.map(put, [key] * writers, range(writers)))
            _same(f"winners of {key}", won.count(True), 1)
            _same(f"get of {key}", bank.get(key), b"%d" % won.index(True))


@_promise
def a_reader_never_sees_a_part(bank: Bank) -> None:
    versions = [bytes([letter]) * size for letter, size in ((65, 300_000), (66, 500_000), (67, 10))]
    bank.put("object", versions[0])

    def write() -> None:
        for version in itertools.islice(itertools.cycle(versions), 30):
            bank.put("object", version)

    with ThreadPoolExecutor(2) as threads:
        writing = [threads.submit(write), threads.submit(write)]
        reads = [bank.get("object") for _ in range(50)]
        while not all(future.done() for future in writing):
            reads.append(bank.get("object"))
        for future in writing:
            future.result()
    _same("sizes of what was read in part", [len(read) for read in reads if read not in versions], [])


@_promise
def putting_and_deleting_in_one_folder_at_once(bank: Bank) -> None:
    def come_and_go(name: str) -> None:
        for _ in range(25):
            bank.put(f"folder/below/{name}", name.encode())
            bank.delete(f"folder/below/{name}")
        bank.put(f"folder/below/{name}", name.encode())

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(come_and_go, "abcd"))
    wanted = {f"folder/below/{name}": name.encode() for name in "abcd"}
    _same("what is there", {key: bank.get(key) for key in bank.list()}, wanted)


@_promise
def free_space_is_bytes_or_unknown(bank: Bank) -> None:
    free = bank.free_space()
    if free is not None and free < 0:
        raise Broken(f"free_space: {free} is no number of bytes")


@_promise
def an_object_is_described_with_its_place(bank: Bank) -> None:
    text = bank.describe("folder/object")
    for part in ("folder/object", bank.properties.location.split(",")[0]):
        if part not in text:
            raise Broken(f"describe: {text!r} does not name {part}")


def _put_unsorted(bank: Bank) -> None:
    for key in UNSORTED:
        bank.put(key, b"")


def _first(bank: Bank, prefix: str) -> str | None:
    return next(bank.list(prefix), None)

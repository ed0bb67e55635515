"""What every store offers, and what it gives back."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import NamedTuple, Protocol, TypeVar, runtime_checkable

from apothecary.search.query import Cursor, Query
from apothecary.search.rows import Indexed
from apothecary.store.held import HeldCodeSystem, HeldConcept, Span
from apothecary.store.shaping import Shaped
from apothecary.terminology.selection import Selection

T = TypeVar("T")

# What stands for the method of a version that no client sent: `apothecary load` wrote it.
LOADED = "LOAD"


class Stored(NamedTuple):
    """One version of a resource. `body` is None for a deletion; `updated` is in microseconds since 1970."""

    type: str
    id: str
    version: int
    updated: int
    fhir_version: str
    body: bytes | None

    @property
    def deleted(self) -> bool:
        return self.body is None


class Head(NamedTuple):
    """What is current of a resource, a deletion included, without its text."""

    type: str
    id: str
    version: int
    updated: int
    deleted: bool


class Past(NamedTuple):
    """One entry of a history: a version and the HTTP method that made it."""

    type: str
    id: str
    version: int
    updated: int
    fhir_version: str
    body: bytes | None
    method: str


class Hit(NamedTuple):
    """One match of a search: the resource, and the values that it was sorted by."""

    type: str
    id: str
    version: int
    updated: int
    fhir_version: str
    body: bytes
    sort: tuple[str | int | None, ...]
    score: int | None = None
    """How well it matches, in millionths, where that was asked for."""
    definitions: str | None = None
    """What stood under `reads.DEFINITIONS` when this was read."""


TOLD = 200
"""So many matches may be counted along with a page that does not show them."""


class Page(NamedTuple):
    """One page of hits in order, and whether there are more on either side. `stopped` is where it ends early: there may
    be more behind that.
    """

    hits: Sequence[Hit]
    more_after: bool
    more_before: bool
    stopped: Cursor | None = None
    matches: int | None = None
    """How many matches there are on all pages, counted no further than one more than `TOLD`; None where the page does
    not tell.
    """


class ConceptReader(Protocol):
    """What can be read of large code systems. A span of an earlier state has no concepts: `holds` tells."""

    def code_systems(self, url: str) -> list[HeldCodeSystem]:
        """Those of a url, current ones only."""

    def code_system(self, resource_id: str) -> HeldCodeSystem | None:
        """The one of an id, None where that is not large, or not there."""

    def code_system_heads(self, page: int = 500) -> Iterator[Stored]:
        """Every current CodeSystem in the order of ids, read `page` at a time; a large one without its concepts, and
        with those of its elements alone that terminology asks for.
        """

    def holds(self, span: Span) -> bool:
        """Whether the concepts of a span are there."""

    def concept_numbers(
        self, span: Span, selection: Selection, limit: int, *, ordered: bool = False, offset: int = 0, after: int = 0
    ) -> list[int]:
        """The numbers of concepts that are selected, greater than `after`, at most `limit`: in their order, or any of
        them in no order.
        """

    def in_order(self, selection: Selection) -> bool:
        """Whether numbers that are asked for in their order cost no more than others."""

    def sampled(self, span: Span, selection: Selection) -> tuple[list[int], int]:
        """The numbers of those concepts that are selected among some in equal steps, and the step. None are told where
        numbers that are asked for in their order cost no more than others.
        """

    def walked_numbers(self, span: Span, selection: Selection, limit: int, offset: int, most: int) -> list[int]:
        """As `concept_numbers` in their order, of the first `most` concepts, each of which is looked at."""

    def count_concepts(self, span: Span, selection: Selection) -> int:
        """How many concepts are selected."""

    def concepts_numbered(self, numbers: Sequence[int]) -> list[HeldConcept]:
        """The concepts of those numbers, in their order."""

    def concepts_coded(self, span: Span, codes: Sequence[str]) -> list[HeldConcept]:
        """The concepts of those codes, in no order."""

    def concepts_folded(self, span: Span, folded: str) -> list[HeldConcept]:
        """The concepts whose codes are `folded` without case, in their order."""

    def codes_below(self, span: Span, code: str, *, directly: bool) -> list[str]:
        """The codes below one, in their order; however deep, unless only those `directly` below."""

    def codes_of(self, span: Span) -> Iterator[str]:
        """All codes in their order."""


class Reader(ConceptReader, Protocol):
    """What can be read, from the store or inside a transaction. What reads derives from it, and does not say again what
    each method promises.
    """

    def read(self, resource_type: str, resource_id: str) -> Stored | None:
        """The current version, a deletion included; None if there never was one."""

    def read_version(self, resource_type: str, resource_id: str, version: int) -> Past | None: ...

    def read_many(self, keys: Sequence[tuple[str, str]], most: int | None = None) -> list[Stored]:
        """Current versions of those keys that exist and are not deleted, in no particular order. With `most`, some may
        be left out where those that are there have more than so many bytes.
        """

    def heads(self, keys: Sequence[tuple[str, str]]) -> list[Head]:
        """What is current of those of `keys` that there ever were, in no particular order."""

    def existing(self, keys: Sequence[tuple[str, str]]) -> set[tuple[str, str]]:
        """Those of `keys` that are there and not deleted."""

    def history(
        self,
        resource_type: str,
        resource_id: str,
        *,
        count: int,
        before: int | None = None,
        since: int | None = None,
        at: tuple[int, int] | None = None,
        most: int | None = None,
    ) -> list[Past]:
        """Versions of one resource, newest first: at most `count`, below version `before`, made at or after `since`,
        current in the span `at`; `most` as in `search`.
        """

    def history_total(
        self,
        resource_type: str,
        resource_id: str,
        *,
        since: int | None = None,
        at: tuple[int, int] | None = None,
    ) -> int: ...

    def history_of(
        self,
        resource_type: str | None,
        *,
        count: int,
        types: Sequence[str] | None = None,
        since: int | None = None,
        at: tuple[int, int] | None = None,
        before: tuple[int, str, str, int] | None = None,
        most: int | None = None,
    ) -> list[Past]:
        """Versions of a type, of some `types`, or of all, newest first; `at` keeps those current in a span of time;
        `before` is the (updated, type, id, version) of the last one already seen.
        """

    def history_of_total(
        self,
        resource_type: str | None,
        *,
        types: Sequence[str] | None = None,
        since: int | None = None,
        at: tuple[int, int] | None = None,
    ) -> int: ...

    def written(self, resource_type: str) -> int:
        """How many versions of a type were ever written: where it is as many as before, everything is as before, for
        every write adds a version and none is ever taken away.
        """
        return self.history_of_total(resource_type)

    def search(self, query: Query, most: int | None = None) -> Page:
        """One page of matches. With `most`, no more need be read of it than exceeds so many bytes of resources: the
        page may end with the match that does, or have a few more. It has fewer matches than asked for, too, where the
        query bounds how many resources are looked at.
        """

    def explain(self, query: Query) -> list[str]:
        """How a search would run, for a person: the statement of each type, where it starts, the database's plan."""

    def count(self, query: Query) -> int:
        """How many resources match, over all pages."""

    def count_within(self, query: Query, most: int) -> tuple[int, bool]:
        """How many resources match, over all pages, and whether that is exact: where to say so takes more than some
        `most` entries of an index, it is a number that match at least.
        """

    def estimate(self, query: Query) -> tuple[int, bool]:
        """About how many resources match, over all pages, and whether it is exactly so many."""

    def count_few(self, query: Query, limit: int) -> int | None:
        """How many resources match, over all pages; None where that is more than `limit`, or not cheap to say."""

    def similar(self, resource_type: str, parameter: str, word: str) -> Sequence[tuple[str, int]]:
        """The words in the texts of a parameter that are most like `word`, best first, with how much they are, in
        millionths.
        """

    def referenced(
        self,
        source_type: str,
        parameter: str | None,
        target_type: str | None,
        sources: Sequence[str],
        limit: int,
    ) -> list[tuple[str, str]]:
        """Keys that references of `parameter` (None: any) point to, from those of `sources` (ids); at most `limit`."""

    def referring(
        self, source_type: str, parameter: str | None, targets: Sequence[tuple[str, str]], limit: int
    ) -> list[tuple[str, str]]:
        """Keys of `source_type` whose references of `parameter` point to one of `targets`; at most `limit`."""

    def named(
        self,
        source_type: str,
        parameters: Sequence[str] | None,
        target_types: Sequence[str],
        sources: Sequence[str],
        limit: int,
    ) -> list[tuple[str, str]]:
        """Keys of `target_types` that canonical URLs of `parameters` (None: any) name, in those of `sources` (ids)."""

    def naming(
        self, source_type: str, parameters: Sequence[str], targets: Sequence[tuple[str, str]], limit: int
    ) -> list[tuple[str, str]]:
        """Keys of `source_type` whose canonical URLs of `parameters` name one of `targets`; at most `limit`."""

    def referrers(self, resource_type: str, resource_id: str, limit: int) -> list[tuple[str, str]]:
        """Keys of the resources, of any type, that point to one resource; at most `limit`."""

    def has_codes(self, systems: Collection[str]) -> bool:
        """Whether the index holds any code of one of the systems. It may be read through for that."""

    def all_of_type(self, resource_type: str, after: str = "", page: int = 500) -> Iterator[Stored]:
        """Every current resource of a type with an id behind `after`, in the order of ids; read `page` at a time."""

    def sent(self, resource_type: str) -> Iterator[Stored]:
        """The current resources of a type whose last version was not loaded: a client sent it, or a content folder."""

    def types(self) -> list[str]:
        """The types of which there is any resource."""

    def state(self, name: str) -> str | None:
        """What the server remembers about the database under a name."""

    def states(self, prefix: str, limit: int) -> list[str]:
        """The names that begin with `prefix`, at most `limit`, in their order."""


@runtime_checkable
class Transaction(Reader, Protocol):
    """A unit of work: all of it or nothing. Reads inside see its own writes."""

    touched: dict[tuple[str, str], Head]
    """What it has written or amended, by key."""

    def moment(self, current: Stored | Head | None = None) -> int:
        """The time of a write, in microseconds since 1970: this instant, but never before that of a write which the
        database had when the transaction began, whatever the clock says, and after that of `current`. So whoever asks
        for what changed since the last change that he knows misses nothing when a clock goes back.
        """

    def replaced(self, resource_type: str, resource_id: str, *, deleting: bool = False) -> Stored | None:
        """What `read` gives, to whoever writes the version after it, a deletion or not, and shows nothing of it."""
        return self.read(resource_type, resource_id)

    def foresee(self, keys: Iterable[tuple[str, str]]) -> None:
        """The current versions of `keys` will be read: a database that is far away is asked for many at once."""

    def write(self, stored: Stored, method: str, rows: Iterable[Indexed] | Shaped, *, absent: bool = False) -> None:
        """Make `stored` the current version. Raises Conflict where the version before it is not the current one.
        `absent` says of a first version that this transaction looked for one, with `heads`, and found none, or that the
        server made its id.
        """

    def amend(self, stored: Stored, rows: Iterable[Indexed]) -> None:
        """Replace the body of the current version without making a new one: what `$meta-add` and `$meta-delete` do.
        Raises Conflict where it is not the current one.
        """

    def index(self, stored: Stored, rows: Iterable[Indexed] | Shaped, *, fresh: bool) -> None:
        """Replace the index rows of a resource; `fresh` says that it has none yet."""

    def run_all(self, statements: Iterable[str]) -> None:
        """Run statements of the store's own, which take no values."""

    def set_state(self, name: str, value: str) -> None: ...

    def forget_state(self, name: str) -> None: ...


class Store(Reader, Protocol):
    """A database of resources. All methods may be called from many threads."""

    @abstractmethod
    def transaction(self) -> AbstractContextManager[Transaction]: ...

    def write(self, work: Callable[[Transaction], T], *, brief: bool = False) -> T:
        """Run `work` in a transaction and commit it; run it again, a bounded number of times, where another came
        between. `work` must have no effect but through its transaction. What is `brief` may be committed together with
        others, who wait for it, and be done by the thread of one of them, in the context of the one that asked for it
        (https://docs.python.org/3/library/contextvars.html). Raises Busy when no try succeeds.
        """

    sqlite: bool

    @abstractmethod
    def filling(self) -> AbstractContextManager[bool]:
        """For a large load, by one thread, into a database that holds nothing yet. Where nobody else uses it, nobody
        can until the block ends, and the indexes are made then; the value says whether that is so.
        """

    def gather_statistics(self) -> None:
        """Let the database look at what was written, where its plans hang on that."""

    @abstractmethod
    def changes(self) -> Hashable | None:
        """What stands for all that was committed, by any process, before this was called: the same as before only where
        nothing was committed in between. None where the database cannot say. Raises as reads do.
        """

    @property
    @abstractmethod
    def busy(self) -> bool:
        """Whether a write that comes now waits for others of this process."""

    @abstractmethod
    def ready(self, *, writes: bool) -> None:
        """Return where the database answers, and takes writes where `writes` are wanted. Raises Busy, Unreachable or
        InsufficientStorage with the reason where it does not.
        """

    @abstractmethod
    def close(self) -> None: ...


class Replica(Reader, Protocol):
    """A reader that may lag behind the store, but not behind what a request must see. One request is one thread."""

    def begin(self, seen: str | None) -> None:
        """A request begins, whose client has seen the position `seen`."""

    def changes(self) -> Hashable | None:
        """What `Store.changes` says, of the state that reads see; None, too, where they would go to the store."""

    def wrote(self) -> str | None:
        """The position after what this request wrote, for its client to bring along; None where it wrote nothing."""

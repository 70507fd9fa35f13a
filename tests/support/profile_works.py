"""Store, resolver, feeder and read view in turn, as one process runs them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import count

from identity.model import Contribution, NodeKey
from identity.resolver import Resolver
from identity.store import GraphStore
from profiles.feed_local import LocalFeed
from profiles.feeder import Feeder
from profiles.read_view import PROFILE, ReadView
from profiles.sealing import Sealer
from profiles.v1.profile_pb2 import Profile
from tests.support.profile_parts import new_builder, profile_policy
from tests.support.store_driver import Consumer, lease_of


@dataclass
class Works:
    """All parts over one store and one view; `ids` numbers the people it creates."""

    store: GraphStore
    sealer: Sealer
    view: ReadView
    ids: count[int] = field(default_factory=count)

    def __post_init__(self) -> None:
        """Wire them."""
        self.feed = LocalFeed(self.view, lambda: 1_000)
        self.feeder = Feeder(self.store, new_builder(self.sealer), self.feed)
        self.resolver = Resolver(self.store, profile_policy().identity, self.new_id)
        self.consumer = Consumer(self.store)

    def new_id(self) -> str:
        """Person ids in order."""
        letters = "".join(chr(97 + int(digit)) for digit in f"{next(self.ids):08d}")
        return letters.ljust(26, "2")

    def take(self, *contributions: Contribution) -> None:
        """Commit, resolve, feed."""
        self.consumer.take(*contributions)
        self.settle()

    def settle(self) -> None:
        """Resolve all that is marked and feed all who changed."""
        self.resolve()
        while self.feeder.drain(lease_of(self.store)):
            pass

    def resolve(self) -> None:
        """Resolve all that is marked."""
        while self.resolver.drain(lease_of(self.store), 0):
            pass

    def shown(self) -> Mapping[NodeKey, Profile]:
        """The profile that each alias leads to, opened."""
        return shown(self.view, self.sealer)


def shown(view: ReadView, sealer: Sealer) -> dict[NodeKey, Profile]:
    """The profile that each alias leads to, opened."""
    found = {}
    for alias, person in view.all_aliases().items():
        stored = view.stored(person)
        assert stored is not None
        assert stored.state == PROFILE
        sealed = sealer.open(stored.sealed, person.encode() + stored.layout)
        found[alias] = Profile.FromString(sealed)
    return found

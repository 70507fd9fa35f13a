"""The vault's keys as running parts use them, and how they notice a rotation."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from identity.forgetting import forget_all
from identity.model import NodeKey
from identity.naming import Naming
from identity.store import KeyAge
from identity.tokens import Tokens
from profiles.sealing import Sealer
from profiles.vault import KeyVault, VaultError

CHAIN = "chain"
"""The number in the vault that says how many token keys the graph's nodes are named under."""
STAGE = "stage"
"""The number in the vault that says how far a rotation is; 0: none is under way."""
ERASED = "erased"
"""The number in the vault that changes with every erasure: whoever remembers raw values forgets
them then."""
LOOK_S = 1.0
"""So often a running part looks for keys that were rotated."""


def note_erasure(vault: KeyVault, at_us: int) -> None:
    """Have every process of this home forget the raw values that it remembers; this one does so
    at once.

    Raises: VaultError.
    """
    vault.agree(ERASED, at_us)
    forget_all()


class VaultKeys:
    """`ingest.keys.Keys` of one sealer: its epoch, and the chain of token keys beside it."""

    def __init__(self, vault: KeyVault, sealer: Sealer) -> None:
        self.sealer = sealer
        self.chain = chain_of(vault)
        self._vault = vault
        self._erased = vault.agreed(ERASED)

    def age(self) -> KeyAge:
        """How old they are."""
        return KeyAge(self.sealer.epoch, len(self.chain))

    def is_current(self) -> bool:
        """Whether nothing was rotated, and nobody erased, since."""
        return self.age() == age_of(self._vault) and self._erased == self._vault.agreed(ERASED)

    def renew(self) -> tuple[bytes, ...]:
        """Use the vault's keys of now, and forget; gives the chain."""
        self._erased = self._vault.agreed(ERASED)
        forget_all()
        self.chain = chain_of(self._vault)
        self.sealer.renew()
        return self.chain


def age_of(vault: KeyVault) -> KeyAge:
    """How old the vault's keys of now are."""
    return KeyAge(vault.current_epoch(), len(chain_of(vault)))


def chain_of(vault: KeyVault) -> tuple[bytes, ...]:
    """The token keys under which the graph's nodes are named now: all but one just added."""
    return vault.token_keys()[: vault.agreed(CHAIN) or 1]


class GraphNaming:
    """`identity.naming.Naming` for those who read the graph: as its nodes are named at the moment.

    Asks the vault each time. Threads may share one.
    """

    def __init__(self, vault: KeyVault, naming: Callable[[Tokens], Naming]) -> None:
        self._vault = vault
        self._named = naming(Tokens(chain_of(vault), vault.order_key()))
        self._chain = len(chain_of(vault))
        self._erased = vault.agreed(ERASED)

    def __call__(self, kind: str, value: str) -> NodeKey | None:
        """See `Naming`."""
        chain = chain_of(self._vault)
        if len(chain) != self._chain:
            self._named.use(Tokens(chain, self._vault.order_key()))
            self._chain = len(chain)
        erased = self._vault.agreed(ERASED)
        if erased != self._erased:
            self._erased = erased
            forget_all()
        return self._named(kind, value)


class KeyWatch:
    """Tells parts of one thread, within a second, that keys were rotated or destroyed, or that
    somebody was erased, and empties the caches of the process.

    `now_s` is a clock that never goes back. A vault that cannot be read just
    now changes nothing.
    """

    def __init__(self, vault: KeyVault, now_s: Callable[[], float]) -> None:
        self._vault = vault
        self._now_s = now_s
        self._look_s = now_s() + LOOK_S
        self._seen = self._read()
        self._renewed: list[Callable[[], None]] = []

    def tell(self, renewed: Callable[[], None]) -> None:
        """Call this whenever keys have changed or somebody was erased."""
        self._renewed.append(renewed)

    def look(self) -> bool:
        """Look, at most once a second, and tell; whether anything had changed."""
        if self._now_s() < self._look_s:
            return False
        self._look_s = self._now_s() + LOOK_S
        with suppress(VaultError):
            found = self._read()
            if found != self._seen:
                self._seen = found
                forget_all()
                for renewed in self._renewed:
                    renewed()
                return True
        return False

    def _read(self) -> tuple[tuple[int, ...], int, int, int, int]:
        vault = self._vault
        rotating = min(vault.agreed(STAGE), 1)
        chain, tokens, erased = vault.agreed(CHAIN), len(vault.token_keys()), vault.agreed(ERASED)
        return vault.epochs(), tokens, chain, rotating, erased

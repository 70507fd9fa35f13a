"""The Pulsar cluster that the settings name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kinfold.settings import Settings
from kinfold.wiring import made_home

if TYPE_CHECKING:
    from profiles.pulsar_cluster import PulsarCluster


def cluster_of(settings: Settings) -> PulsarCluster | None:
    """The cluster, not connected to yet; None where no Pulsar is set."""
    if not settings.pulsar.url:
        return None
    # Here, not above: a driver that is not asked for need not be loaded.
    from profiles.pulsar_cluster import PulsarCluster  # noqa: PLC0415

    return PulsarCluster(
        settings.pulsar.url,
        settings.pulsar.admin_url,
        driver_log=str(made_home(settings) / "pulsar.log"),
    )

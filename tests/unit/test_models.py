"""Match models as files: pinned by their hash, in force one at a time, and back."""

import json
import os
import random
import stat
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from identity.matching.model import MatchModel, fingerprint
from identity.tokens import Tokens
from kinfold.comparing import ActiveModels, Means
from kinfold.model_errors import ModelRefused, ModelsUnusable, ModelUnknown
from kinfold.models import DEVICES, RECORDS, Models, keyed_by
from profiles.vault_memory import MemoryVault
from tests.support.match_models import KEY, town_model
from tests.support.profile_parts import new_sealer, profile_policy

CARD = {"kind": "records", "date": "2026-01-05"}


@pytest.fixture
def models(tmp_path: Path) -> Models:
    """The models of a new home folder."""
    return Models(tmp_path / "models", keyed_by(KEY))


def versions(models: Models, count: int) -> list[str]:
    """So many models that differ, saved."""
    return [models.save(RECORDS, replace(town_model(), name=f"v{n}"), CARD) for n in range(count)]


def test_a_model_is_read_as_it_was_saved(models: Models, tmp_path: Path) -> None:
    """What is loaded equals what was saved, under the fingerprint that links pin."""
    pin = models.save(RECORDS, town_model(), CARD)
    assert pin == fingerprint(town_model())
    assert models.load(RECORDS, pin) == town_model()
    assert models.card(pin)["date"] == "2026-01-05"
    assert (tmp_path / "models" / f"{pin}.json").exists()
    assert stat.S_IMODE((tmp_path / "models").stat().st_mode) == 0o700


def test_saving_again_changes_nothing_but_the_card(models: Models) -> None:
    """The same model is one file however often it is saved."""
    assert len(set(versions(models, 1) + versions(models, 1))) == 1
    assert len(models.all()) == 1


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace('"link": 0.5', '"link": 0.4'),
        lambda text: text.replace('"town"', '"city"'),
        lambda text: text[: len(text) // 2],
        lambda text: text + " ",
        lambda _: "",
        lambda _: "[]",
        lambda _: '{"format": 99}',
    ],
)
def test_changed_content_is_refused(models: Models, tmp_path: Path, change: object) -> None:
    """A file whose content does not give its name is neither loaded nor put in force."""
    assert callable(change)
    pin = models.save(RECORDS, town_model(), CARD)
    path = tmp_path / "models" / f"{pin}.json"
    path.write_text(change(path.read_text()))
    for use in (
        lambda: models.load(RECORDS, pin),
        lambda: models.activate(RECORDS, pin, "2026-01-05"),
    ):
        with pytest.raises(ModelRefused) as caught:
            use()
        assert pin in str(caught.value)
    assert models.active(RECORDS) is None
    (listed,) = models.all()
    assert (listed.pin, listed.model) == (pin, None)
    assert pin in listed.refused


def test_one_damaged_model_hides_no_other(models: Models, tmp_path: Path) -> None:
    """The list tells what is refused beside what is sound, and what is in force all the same."""
    one, other = versions(models, 2)
    models.activate(RECORDS, one, "2026-01-05")
    (tmp_path / "models" / f"{one}.json").write_text("{}")
    sound, refused = models.all()
    assert (sound.pin, sound.refused, sound.active) == (other, "", False)
    assert (refused.pin, refused.kind, refused.active) == (one, None, True)


def test_a_renamed_file_is_refused(models: Models, tmp_path: Path) -> None:
    """A sound model under another's name is refused, too."""
    one, other = versions(models, 2)
    (tmp_path / "models" / f"{one}.json").replace(tmp_path / "models" / f"{other}.json")
    with pytest.raises(ModelRefused):
        models.load(RECORDS, other)


def test_keys_of_another_home_are_refused(models: Models, tmp_path: Path) -> None:
    """A model learnt with other keys would find none of its terms: it is refused."""
    pin = models.save(RECORDS, town_model(), CARD)
    elsewhere = Models(tmp_path / "models", keyed_by(b"another key of thirty-two bytes."))
    with pytest.raises(ModelRefused, match="keys of another home"):
        elsewhere.load(RECORDS, pin)
    assert KEY.hex() not in (tmp_path / "models" / f"{pin}.card.json").read_text()


def test_the_beginning_of_a_fingerprint_names_a_model(models: Models) -> None:
    """Four digits or more that only one model begins with are enough; else it is unknown."""
    pins = versions(models, 3)
    assert models.find(pins[0][:8]) == pins[0]
    for name in (pins[0][:3], "0000ffff", "", "../x"):
        with pytest.raises(ModelUnknown):
            models.find(name)


def test_a_beginning_that_several_share_is_unknown(models: Models, tmp_path: Path) -> None:
    """An ambiguous name is never guessed at."""
    (tmp_path / "models").mkdir()
    for tail in ("0", "1"):
        (tmp_path / "models" / f"abcdef{tail * 10}.json").write_text("{}")
    with pytest.raises(ModelUnknown, match="several"):
        models.find("abcdef")


def test_back_goes_through_those_that_were_in_force(models: Models) -> None:
    """Each back puts the one before in force, to none before the first, and then has nowhere."""
    one, two, three = versions(models, 3)
    for pin in (one, two, two, three, one):
        models.activate(RECORDS, pin, "2026-01-05")
    gone_to = [models.back(RECORDS, "2026-01-06") for _ in range(4)]
    assert gone_to == [three, two, one, None]
    assert models.active(RECORDS) is None
    with pytest.raises(ModelUnknown):
        models.back(RECORDS, "2026-01-06")


def test_a_new_home_has_no_models(models: Models) -> None:
    """Before anything was saved nothing is listed, in force, or gone back from."""
    assert models.all() == []
    assert models.active(RECORDS) is None
    with pytest.raises(ModelUnknown):
        models.back(RECORDS, "2026-01-05")


def test_kinds_are_in_force_apart(models: Models) -> None:
    """A model for records in force is none for devices, and cannot be put in force for them."""
    (pin,) = versions(models, 1)
    models.activate(RECORDS, pin, "2026-01-05")
    assert models.active(DEVICES) is None
    assert models.kind_of(pin) is RECORDS
    with pytest.raises(ModelUnknown, match="not devices"):
        models.activate(DEVICES, pin, "2026-01-05")


def test_back_to_a_damaged_model_is_refused(models: Models, tmp_path: Path) -> None:
    """What is in force stays so when the one before cannot be trusted."""
    one, two = versions(models, 2)
    models.activate(RECORDS, one, "2026-01-05")
    models.activate(RECORDS, two, "2026-01-05")
    (tmp_path / "models" / f"{one}.json").write_text("{}")
    with pytest.raises(ModelRefused):
        models.back(RECORDS, "2026-01-06")
    assert models.active(RECORDS) == two


def test_half_written_files_are_not_seen(models: Models, tmp_path: Path) -> None:
    """What a killed process left unfinished is neither a model nor in force."""
    (pin,) = versions(models, 1)
    models.activate(RECORDS, pin, "2026-01-05")
    for name in (f".{pin}.json.77", ".active-records.json.77", f".{'0' * 16}.json.77"):
        (tmp_path / "models" / name).write_text('{"format')
    assert [kept.pin for kept in models.all()] == [pin]
    assert models.active(RECORDS) == pin


def test_activations_at_once_are_all_remembered(models: Models, tmp_path: Path) -> None:
    """Several that activate at the same time follow one another; none is lost."""
    pins = versions(models, 12)
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda pin: models.activate(RECORDS, pin, "2026-01-05"), pins))
    history = json.loads((tmp_path / "models" / "active-records.json").read_text())["history"]
    assert sorted(entry["model"] for entry in history) == sorted(pins)


def test_a_damaged_history_is_told(models: Models, tmp_path: Path) -> None:
    """No model is scored with when what is in force cannot be read."""
    versions(models, 1)
    path = tmp_path / "models" / "active-records.json"
    for text in ("{", "[]", '{"format": 1, "history": [7]}', '{"format": 2, "history": []}'):
        path.write_text(text)
        with pytest.raises(ModelRefused, match="active-records"):
            models.active(RECORDS)


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may write everywhere")
def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    """Without the right to write, saving says so in words."""
    tmp_path.chmod(0o500)
    with pytest.raises(ModelsUnusable):
        Models(tmp_path / "models", "x").save(RECORDS, town_model(), CARD)


def test_a_file_in_the_folder_s_place_is_told(tmp_path: Path) -> None:
    """A file where the folder belongs is an error of ours, not the driver's."""
    (tmp_path / "models").write_text("")
    with pytest.raises(ModelsUnusable, match="cannot be written"):
        Models(tmp_path / "models", "x").save(RECORDS, town_model(), CARD)
    with pytest.raises(ModelsUnusable):
        Models(tmp_path / "models" / "deeper", "x").save(RECORDS, town_model(), CARD)


def test_no_value_of_a_record_is_in_a_file(models: Models, tmp_path: Path) -> None:
    """Neither model nor card holds a name, a date or an address of anybody."""
    assert isinstance(town_model(), MatchModel)
    versions(models, 1)
    written = "".join(path.read_text() for path in (tmp_path / "models").glob("*.json"))
    for value in ("anna", "berger", "post.example", "davos", "19"):
        assert f'"{value}' not in written


def test_a_model_in_force_is_read_once(models: Models, tmp_path: Path) -> None:
    """However often comparers are asked for; another one put in force is read anew."""
    first, second = versions(models, 2)
    policy = profile_policy()
    vault = MemoryVault(random.Random(1).randbytes)
    tokens = Tokens(vault.token_keys(), vault.order_key())
    means = Means(tokens, new_sealer(), policy.identity, policy.purposes)
    active = ActiveModels(models, means)
    models.activate(RECORDS, first, "2026-01-05")
    assert len(active.comparers()) == 1
    (tmp_path / "models" / f"{first}.json").write_text("changed since")
    assert [one.model for one in active.comparers()] == [first]
    models.activate(RECORDS, second, "2026-01-06")
    assert active.changed()
    assert [one.model for one in active.comparers()] == [second]

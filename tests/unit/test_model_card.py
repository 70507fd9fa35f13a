"""A model card says what is known against a model, in words that staff can act on."""

from __future__ import annotations

from dataclasses import replace

from identity.matching.comparisons import comparison_of
from identity.matching.model import MatchModel
from kinfold.modelling.card import doubts, limits
from tests.support.match_models import town_model


def with_differing(model: MatchModel, name: str, share: float) -> MatchModel:
    """The model, had it found a comparison to differ in this share of one person's pairs."""
    at = comparison_of(name).levels.index("different")
    weights = tuple(
        replace(own, m=(*own.m[:at], share, *own.m[at + 1 :])) if own.name == name else own
        for own in model.weights
    )
    return replace(model, weights=weights)


def test_a_model_of_households_is_doubted() -> None:
    """Where given names of "one person" mostly differ, the card says what was learnt instead."""
    model = town_model()
    assert doubts(model) == []
    (told,) = doubts(with_differing(model, "given", 0.43))
    assert "the given name differs in 43%" in told
    assert "households" in told
    both = with_differing(with_differing(model, "given", 0.43), "birth_date", 0.55)
    (told,) = doubts(both)
    assert "the given name differs in 43% and the birth date differs in 55%" in told
    assert told in limits(both, {}, has_answers=True)

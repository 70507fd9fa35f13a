"""Blocking keys: what two records must share to be compared at all.

A part is one derived value of a record (`year`, `family_sound`); a rule is a
combination of parts. Records that share a key of any rule in the model are
candidates, unless the key's block is over-full.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from itertools import combinations, product

from identity.matching.features import Features
from identity.matching.names import Name
from identity.matching.nicknames import root
from identity.matching.phones import Phone
from identity.matching.text import soundex

Rule = tuple[str, ...]
Parts = dict[str, Sequence[str]]
_PHONE_DIGITS = 9
"""What is the same in a number with and without its country's code."""


def _sound(word: str) -> str:
    return word if word.startswith("~") else soundex(word)


def _name_parts(name: Name) -> Parts:
    words = sorted(name.words)
    parts: Parts = {
        "word": words,
        "root": sorted({root(word) for word in words}),
        "sound": sorted({soundex(word) for word in words}),
        "two_words": [f"{a} {b}" for a, b in combinations(words, 2)],
    }
    sounds = sorted({_sound(word) for word in parts["root"]})
    parts["two_sounds"] = [f"{a} {b}" for a, b in combinations(sounds, 2)]
    if family := name.family or name.lone:
        parts["family"] = (family,)
        parts["family_sound"] = (soundex(family),)
        parts["family_3"] = (family[:3],)
    if given := name.given or name.lone:
        parts["given"] = (root(given),)
        parts["given_1"] = (given[0],)
        parts["given_3"] = (given[:3],)
    return parts


def _date_parts(digits: str) -> Parts:
    year, rest = digits[:4], digits[4:]
    parts: Parts = {"year": (year,), "decade": (year[:3],)}
    if rest != "0000":
        parts["date"] = (digits,)
        parts["year_month"] = (digits[:6],)
        parts["year_day"] = (year + rest[2:],)
        parts["date_digits"] = ("".join(sorted(digits)),)
        if rest != "0101":
            parts["month_day"] = (rest,)
    return parts


def _email_parts(email: tuple[str, str]) -> Parts:
    local, domain = email
    parts: Parts = {"email": (f"{local}@{domain}",), "box": (local,), "box_4": (local[:4],)}
    if letters := "".join(letter for letter in local if letter.isalpha()):
        parts["box_letters"] = (letters,)
    if domain:
        parts["domain"] = (domain,)
        parts["domain_5"] = (domain[:5],)
    return parts


def _household_parts(address: tuple[str, str]) -> Parts:
    number, street = address
    parts: Parts = {}
    if number:
        parts["number"] = (number,)
    if street:
        parts["street"] = (street,)
        parts["street_word"] = (max(street.split(), key=lambda word: (len(word), word)),)
    if number and street:
        parts["address"] = (f"{number} {street}",)
    return parts


def _postcode_parts(code: str) -> Parts:
    return {"postcode": (code,), "area": (code[: 3 if len(code) == 4 else max(2, len(code) - 3)],)}


def _phone_parts(phone: Phone) -> Parts:
    national = phone[1][-_PHONE_DIGITS:]
    return {"phone": (national,), "phone_4": (national[:4], f"-{national[-4:]}")}


def _code_parts(name: str) -> Callable[[str], Parts]:
    return lambda code: {name: (code,), f"{name}_4": (code[:4], f"-{code[-4:]}")}


def _text_parts(name: str) -> Callable[[str], Parts]:
    return lambda text: {name: (text,)}


_PARTS_OF: dict[str, Callable[..., Parts]] = {
    "name": _name_parts,
    "birth_date": _date_parts,
    "email": _email_parts,
    "household": _household_parts,
    "postcode": _postcode_parts,
    "national_id": _code_parts("national_id"),
    "passport": _code_parts("passport"),
    "driving_licence": _code_parts("driving_licence"),
    "phone": _phone_parts,
    "birth_place": _text_parts("birth_place"),
    "occupation": _text_parts("occupation"),
    "city": _text_parts("city"),
    "address_2": _text_parts("address_2"),
}


def parts_of(features: Features, slots: Collection[str] | None = None) -> Parts:
    """Every part of a record, or those of some slots; parts without a value are left out."""
    parts: Parts = {}
    for slot, value in features.items():
        derive = _PARTS_OF.get(slot)
        if derive is not None and (slots is None or slot in slots):
            parts.update({part: values for part, values in derive(value).items() if values})
    return parts


def slots_of(rules: Iterable[Rule]) -> frozenset[str]:
    """The slots whose parts the rules read."""
    return frozenset(_GROUP_OF[part] for rule in rules for part in rule)


def keys_of(parts: Parts, rules: Sequence[Rule]) -> list[tuple[int, str]]:
    """The blocking keys of a record, each as (number of the rule, key), each once."""
    keys: dict[tuple[int, str], None] = {}
    for number, rule in enumerate(rules):
        if len(rule) == 1:
            for value in parts.get(rule[0], ()):
                keys[number, value] = None
        elif len(rule) == 2:
            right = parts.get(rule[1])
            if right:
                for value in parts.get(rule[0], ()):
                    for other in right:
                        keys[number, f"{value}|{other}"] = None
        else:
            for values in product(*(parts.get(part, ()) for part in rule)):
                keys[number, "|".join(values)] = None
    return list(keys)


_GROUPS = {
    "name": "word root sound two_words two_sounds family family_sound family_3 given given_1"
    " given_3",
    "birth_date": "year decade date year_month year_day date_digits month_day",
    "email": "email box box_4 box_letters domain domain_5",
    "household": "number street street_word address",
    "postcode": "postcode area",
    "national_id": "national_id national_id_4",
    "passport": "passport passport_4",
    "driving_licence": "driving_licence driving_licence_4",
    "phone": "phone phone_4",
    "birth_place": "birth_place",
    "occupation": "occupation",
    "city": "city",
    "address_2": "address_2",
}
_GROUP_OF = {part: group for group, parts in _GROUPS.items() for part in parts.split()}
_ALONE = frozenset(
    "word two_words two_sounds family date date_digits postcode email box box_letters domain"
    " street address address_2 national_id national_id_4 passport passport_4 driving_licence"
    " driving_licence_4 phone phone_4 birth_place".split()
)
_TOGETHER = frozenset({
    ("family", "given_3"), ("family_3", "given_3"), ("family_sound", "given"),
    ("family_sound", "given_1"),
})  # fmt: skip
_TRIPLES: tuple[Rule, ...] = (
    ("family_sound", "given_1", "year"), ("family_sound", "given_1", "area"),
    ("family_sound", "given_1", "birth_place"), ("family_sound", "given_1", "occupation"),
    ("family_sound", "given_1", "decade"), ("family_sound", "given_1", "city"),
    ("sound", "birth_place", "area"), ("sound", "year", "birth_place"),
    ("root", "year", "birth_place"), ("root", "occupation", "year"),
    ("given", "year", "area"), ("given", "year", "birth_place"),
    ("given", "occupation", "birth_place"), ("given", "occupation", "area"),
    ("given_1", "date", "birth_place"), ("given_1", "postcode", "occupation"),
    ("given_1", "year", "postcode"), ("occupation", "year", "postcode"),
    ("occupation", "date", "birth_place"), ("birth_place", "postcode", "year"),
)  # fmt: skip


STANDING: tuple[Rule, ...] = (
    ("email",), ("phone",), ("national_id",), ("passport",), ("driving_licence",),
    ("date", "sound"), ("address", "given"), ("family_sound", "given_1", "year"),
    ("family_sound", "given_1", "area"), ("family_sound", "given_1", "city"),
)  # fmt: skip
"""Rules that stand whatever the records trained on bring: others may know much less."""


def rules_over(present: Iterable[str]) -> list[Rule]:
    """Every rule that records with these parts could be blocked by, in canonical order."""
    parts = sorted(set(present) & _GROUP_OF.keys())
    rules: dict[Rule, None] = {(part,): None for part in parts if part in _ALONE}
    for pair in combinations(parts, 2):
        apart = _GROUP_OF[pair[0]] != _GROUP_OF[pair[1]]
        if apart or pair in _TOGETHER:
            rules[pair] = None
    more = (rule for rule in _TRIPLES + STANDING if set(rule) <= set(parts))
    return list(rules | dict.fromkeys(more))

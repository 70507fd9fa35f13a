"""What columns mean: the attributes that records are compared by, and the names they go by."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

GIVEN, MIDDLE, FAMILY, FULL = "given_name", "middle_name", "family_name", "full_name"
SUFFIX = "name_suffix"
BIRTH_DATE, EMAIL, PHONE = "birth_date", "email", "phone"
NUMBER, STREET, UNIT, ADDRESS_2 = "street_number", "street", "unit", "address_2"
LINE, CITY, STATE, POSTCODE = "address", "city", "state", "postcode"
NATIONAL_ID, PASSPORT, LICENCE = "national_id", "passport", "driving_licence"
GENDER, OCCUPATION, BIRTH_PLACE = "gender", "occupation", "birth_place"
OTHER = "other:"
"""Before any other text's name: `other:nationality`."""

_NAMES = f"""
{GIVEN}: given_name first_name forename firstname given
{MIDDLE}: middle_name middle_initial middle middle_names
{FAMILY}: family_name surname last_name lastname family
{FULL}: full_name name person_name
{SUFFIX}: name_suffix suffix generation
{BIRTH_DATE}: birth_date dob date_of_birth birthdate birthday
{EMAIL}: email email_address e_mail mail
{PHONE}: phone phone_number telephone mobile
{NUMBER}: street_number house_number
{STREET}: street street_name address_1 street_address address1
{UNIT}: unit unit_number flat apartment
{ADDRESS_2}: address_2 address2
{LINE}: address address_line postal_address
{CITY}: city suburb town place locality
{STATE}: state region province county
{POSTCODE}: postcode zipcode zip zip_code postal_code postcode_fake
{NATIONAL_ID}: national_id soc_sec_id ssn nin national_number
{PASSPORT}: passport passport_number
{LICENCE}: driving_licence driving_license drivers_license licence
{GENDER}: gender sex
{OCCUPATION}: occupation job profession
{BIRTH_PLACE}: birth_place place_of_birth birthplace
"""

ALIASES: Mapping[str, str] = {
    alias: attribute
    for line in _NAMES.strip().splitlines()
    for attribute, _, aliases in (line.partition(":"),)
    for alias in aliases.split()
}
ATTRIBUTES = frozenset(ALIASES.values())


def understand(columns: Iterable[str], mapped: Mapping[str, str]) -> dict[str, str]:
    """Which attribute each column holds; columns that name nothing known are left out.

    `mapped` comes first: a column to an attribute, to `other:NAME`, or to ""
    to leave the column out. Of two columns with one attribute the first counts.
    """
    found: dict[str, str] = {}
    for column in columns:
        name = column.strip().lower().replace(" ", "_").replace("-", "_")
        attribute = mapped.get(column, ALIASES.get(name, ""))
        if attribute and attribute not in found.values():
            found[column] = attribute
    return found


def problems(mapped: Mapping[str, str], columns: Iterable[str]) -> list[str]:
    """What is wrong with a mapping, each problem naming its column."""
    known = set(columns)
    found = [f"--map {name}: the file has no such column" for name in mapped if name not in known]
    return found + [
        f"--map {name}={attribute}: no such attribute; use other:NAME for any other text"
        for name, attribute in mapped.items()
        if attribute and attribute not in ATTRIBUTES and not attribute.startswith(OTHER)
    ]

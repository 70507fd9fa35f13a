"""Names, places and things from which people are made up.

Names of people and streets are long and unusual on purpose: a search of files
for them must not find them there by chance.
"""

from __future__ import annotations

from dataclasses import dataclass

GIVEN_FEMALE = (
    "Adelheid Aurelia Benedikta Bernadette Birgitta Camilotta Clothilde Cordelia Delphine "
    "Dariella Eleonore Ernestine Federica Felicitas Franziska Germaine Giuliana Gwendolen "
    "Henriette Hildegard Isadora Jacqueline Josephine Katharina Konstanze Leonore Ludovica "
    "Melisande Margherita Mechthild Nikoletta Ottilie Petronella Rosalind Rosmarie Sieglinde "
    "Theodora Valentina Violetta Wilhelmine"
).split()

GIVEN_MALE = (
    "Alasdair Adelbertus Ambrosius Aurelianus Balthasar Barnabas Bertholdus Bonifatius Columban "
    "Crispinus Cornelius Dagobert Donatien Engelbert Emanuele Fridolin Fiorenzo Fulgenzio "
    "Gianluca Gottfried Hartmut Hieronymus Ignazio Jodokus Kaspar Kilianus Lambertus Lucianus "
    "Leonhardus Meinradus Nathanael Nikolaus Percival Remigius Reinhold Seraphin Siegfried "
    "Thaddeus Valerianus Zacharias"
).split()

FAMILY = (
    "Abderhalden Aebischer Allenspach Ammann-Roth Baeriswyl Baldenweg Beauregard Bernasconi "
    "Birchmeier Blumenstiel Bodenmann Bontempelli Brandschenk Brunnschweiler Bubenhofer "
    "Burckhardt Cavegn-Moser Chatelain Christen-Abt Courvoisier Dallenbach Desmeules Diethelm "
    "Duttweiler Eggenberger Eichelberger Engelhardt Fankhauser Fasnacht Feuerstein Frischknecht "
    "Gantenbein Giovanoli Goldenberg Grossenbacher Guggenheim Habegger Hasenfratz Hinterberger "
    "Hollengrund Hungerbuehler Immerzeel Jeanneret Kaltbrunner Kirchgessner Knechtenhofer "
    "Kronenberg Lauterbacher Leuenberger Lindenmann Luginbuehl Messerschmidt Mittelholzer "
    "Montandon Muehlemann Niederhauser Nussbaumer Oberholzer Oechslin Ostertag Pellegrini "
    "Pfaffhauser Quadranti Rechsteiner Reichmuthen Riesterer Rothenbuehler Sauerbruch "
    "Schallenberg Schoenenberger Siegenthaler Sonderegger Spengler-Wyss Stadelmann Steinegger "
    "Stuecheli Tanner-Kessel Thalhofer Trachsler Ulmschneider Vandenberghe Vonlanthen Wackernagel "
    "Waldispuehl Wetterwald Winkelried Wollschlaeger Wyttenbach Zellmatter Zimmerli Zumbrunnen "
    "Zurfluehe"
).split()

STREETS = (
    "Ahornhaldenweg Amselbuehlstrasse Birkenmattweg Brunnmattstrasse Chemin-des-Tilleuls "
    "Eichenruetiweg Erlenholzstrasse Fliederhofgasse Gerbermattgasse Haldenbachrain "
    "Heideggstrasse Im-Rosengaertli Kastanienbaumweg Kirchbergsteig Klosterzelgstrasse "
    "Lerchenfeldgasse Lindenbuehlring Meierwiesenstrasse Muehlehaldenweg Nussbaumallee "
    "Oberdorfhalde Pappelhofweg Quellmattsteig Rebbergweg Rotbuchenstrasse Schlehdornweg "
    "Schuetzenmattrain Sonnhaldenplatz Steinackerhof Tannenwaldstrasse Ulmenhofgasse "
    "Via-dei-Castagni Wacholderweg Weiherhofstrasse Wiesengrundpfad Zelglimattstrasse"
).split()

OCCUPATIONS = (
    "bookbinder",
    "district nurse",
    "gardener",
    "joiner",
    "midwife",
    "optician",
    "primary teacher",
    "software tester",
    "surveyor",
    "train driver",
    "translator",
    "vet",
)

MAIL_DOMAINS = (
    "alpenpost.example",
    "bergfunk.example",
    "courrierlac.example",
    "mailhaus.example",
    "postvilla.example",
    "quickletter.example",
)


@dataclass(frozen=True, slots=True)
class Place:
    """A town. `phone`: a mobile prefix and how many digits follow; `line`: a landline's, if any."""

    country: str
    region: str
    city: str
    postcode: str
    zone: str
    locales: tuple[str, ...]
    phone: tuple[str, int]
    line: tuple[str, int] | None


_CH, _AT, _DE, _FR, _GB = (
    "Europe/Zurich",
    "Europe/Vienna",
    "Europe/Berlin",
    "Europe/Paris",
    "Europe/London",
)

PLACES = (
    Place("CH", "CH-ZH", "Winterthur", "8400", _CH, ("de-CH", "en-GB"), ("+4179", 7), ("+4152", 7)),
    Place("CH", "CH-BE", "Burgdorf", "3400", _CH, ("de-CH",), ("+4178", 7), ("+4134", 7)),
    Place("CH", "CH-SG", "Rapperswil", "8640", _CH, ("de-CH",), ("+4177", 7), ("+4155", 7)),
    Place("CH", "CH-VD", "Lausanne", "1003", _CH, ("fr-CH", "en-US"), ("+4176", 7), ("+4121", 7)),
    Place("CH", "CH-TI", "Bellinzona", "6500", _CH, ("it-CH",), ("+4179", 7), ("+4191", 7)),
    Place("AT", "AT-6", "Leoben", "8700", _AT, ("de-AT",), ("+43664", 7), None),
    Place("DE", "DE-BY", "Augsburg", "86150", _DE, ("de-DE",), ("+49151", 8), None),
    Place("DE", "DE-SH", "Flensburg", "24937", _DE, ("de-DE", "en-US"), ("+49160", 7), None),
    Place("FR", "FR-ARA", "Villeurbanne", "69100", _FR, ("fr-FR",), ("+3362", 7), ("+3347", 7)),
    Place("GB", "GB-NYK", "Harrogate", "HG1 1DA", _GB, ("en-GB",), ("+44740", 7), None),
    Place(
        "BR", "BR-PR", "Curitiba", "80010-000", "America/Sao_Paulo", ("pt-BR", "en-US"),
        ("+55419", 8), ("+55413", 7),
    ),
)  # fmt: skip
PLACE_WEIGHTS = (22, 12, 8, 10, 5, 8, 12, 6, 7, 7, 3)

CATEGORIES = (
    "sport/running", "sport/cycling", "sport/skiing", "sport/climbing", "sport/football",
    "sport/swimming", "home/kitchen", "home/garden", "home/furniture", "home/lighting",
    "home/tools", "electronics/phones", "electronics/audio", "electronics/cameras",
    "electronics/computers",
    "electronics/games", "fashion/women", "fashion/men", "fashion/children", "fashion/shoes",
    "fashion/jewellery", "food/bakery", "food/wine", "food/organic", "food/cheese", "books/crime",
    "books/science", "books/children", "books/travel", "music/classical", "music/jazz", "music/pop",
    "travel/mountains", "travel/cities", "travel/beach", "family/baby", "family/toys",
    "health/beauty", "health/vitamins", "news/politics", "news/economy", "news/local",
)  # fmt: skip

CAMPAIGNS = (
    "winter-sale", "spring-preview", "members-week", "ski-fever", "new-in-audio", "refer-a-friend",
    "back-in-stock", "loyalty-double", "recipe-letter", "summer-early",
)  # fmt: skip

# Hours of a local day in proportion to how often they are lively, one row a habit.
_HABITS = (
    "111100011233322334455455666655331",
    "000012455433334444333455554321000",
    "432100000011223344455566677788765",
    "000001146653333443335566655432100",
    "111000012344555444555444333222110",
)


def _hours(row: str) -> tuple[int, ...]:
    weights = row[:24]
    return tuple(hour for hour, weight in enumerate(weights) for _ in range(int(weight)))


HABITS = tuple(_hours(row) for row in _HABITS)

"""A match weight's waterfall, in every form it is shown in."""

import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from identity.matching.drawing import WIDTH, svg
from identity.matching.model import APART_MBITS
from identity.matching.score import Bar
from identity.matching.waterfall import cells, chance, cut, sentence, terminal, waterfall_json

SVG = "{http://www.w3.org/2000/svg}"
BARS = [
    Bar("prior", "before any evidence", -12_000),
    Bar("family", "same", 5_000),
    Bar("family", "rare value", 3_000),
    Bar("birth_date", "one error", 7_000),
    Bar("same_household with birth_date", "counted once", -1_500),
    Bar("other:nationality", "different", -500),
]
APART = [*BARS, Bar("suffix", "held apart", APART_MBITS)]
BARS_LEFT, BARS_RIGHT = 360, WIDTH - 90
"""Where labels end and where bits begin, in pixels."""
TEXT = st.text(max_size=60)
WEIGHTS = st.integers(-40_000, 40_000) | st.just(APART_MBITS)
ANY_BARS = st.lists(st.builds(Bar, TEXT, TEXT, WEIGHTS), max_size=40)


def test_the_data_adds_up_exactly() -> None:
    """Each bar begins where the one before ended, and the last ends at the weight."""
    found = waterfall_json(BARS)
    ends = [0.0, *(bar["to_bits"] for bar in found["bars"])]
    assert [bar["from_bits"] for bar in found["bars"]] == ends[:-1]
    assert found["weight_bits"] == ends[-1] == 1.0
    assert found["held_apart"] is False
    assert waterfall_json(APART)["held_apart"] is True
    assert found["bars"][1] == {
        "comparison": "family", "level": "same", "words": "family name: same",
        "bits": 5.0, "from_bits": -12.0, "to_bits": -7.0,
    }  # fmt: skip


def test_the_sentence_names_both_sides() -> None:
    """What speaks for and against is told with its bits, the strongest first."""
    assert sentence(BARS, 0.75) == (
        "They are one person with probability 0.7500 (+1.00 bits);"
        " for it: birth date: one error (+7.00), family name: same (+5.00),"
        " family name: rare value (+3.00);"
        " against it: prior: before any evidence (-12.00),"
        " household & birth date: counted once (-1.50), nationality: different (-0.50)."
    )


def test_a_long_sentence_sums_up_the_rest() -> None:
    """Beyond four bars on a side the others are counted and summed, so that nothing is lost."""
    said = sentence([Bar("city", f"level {n}", 1_000 * n) for n in range(1, 8)], 0.99)
    assert "3 more (+6.00)" in said
    assert "level 4" in said
    assert "level 3" not in said


def test_a_contradiction_is_the_whole_sentence() -> None:
    """Where a contradiction decides, the sentence says so and gives no probability."""
    assert sentence(APART, 0.0) == "Two people, whatever else agrees: suffix: held apart."


@pytest.mark.parametrize(
    ("probability", "words"),
    [(1.0, "over 0.9999"), (0.99994, "0.9999"), (0.0, "under 0.0001"), (0.5, "0.5000")],
)
def test_a_probability_is_never_certain(probability: float, words: str) -> None:
    """No probability is shown as 0 or 1."""
    assert chance(probability) == words


def test_the_terminal_shows_the_bars_in_place() -> None:
    """At 80 columns every bar stands where the running sum goes, its bits at the right edge."""
    assert terminal(BARS, 80) == [
        "prior: before any evidence           ░░░░░░░░░░░░░░░░░░░░░░░░░░│          -12.00",
        "family name: same                    ███████████               │           +5.00",
        "family name: rare value                         ███████        │           +3.00",
        "birth date: one error                                  ███████████████     +7.00",
        "household & birth date: counted once                           │   ░░░     -1.50",
        "nationality: different                                         │  ░        -0.50",
        "─" * 80,
        "match weight                                                   ███         +1.00",
    ]  # fmt: skip


def test_the_terminal_says_held_apart() -> None:
    """A contradiction is drawn to the edge and told in a word instead of a thousand bits."""
    lines = terminal(APART, 80)
    assert lines[-3].endswith("   apart")
    assert lines[-1].endswith("   apart")
    assert "1000" not in "".join(lines)


@given(bars=ANY_BARS, width=st.integers(40, 200))
def test_no_line_is_wider_than_the_terminal(bars: list[Bar], width: int) -> None:
    """Whatever the bars, every line is exactly as wide as asked, wide letters counted as two."""
    lines = terminal(bars, width)
    assert len(lines) == len(bars) + 2
    assert {cells(line) for line in lines} == {width}
    assert not any("\n" in line for line in lines)


@pytest.mark.parametrize(
    ("text", "columns"), [("abc", 3), ("東京", 4), ("é", 1), ("e\u0301", 1), ("a\u200bb", 2)]
)
def test_letters_take_the_columns_they_take(text: str, columns: int) -> None:
    """Wide letters take two columns, marks on a letter none; a cut is marked and fits."""
    assert cells(text) == columns
    assert cut(text, columns) == text
    assert cut(text * 40, 9).endswith("…")
    assert cells(cut(text * 40, 9)) in (8, 9)


@given(bars=st.lists(st.builds(Bar, st.just("city"), st.just("same"), WEIGHTS), max_size=40))
def test_bars_stand_on_their_own_side(bars: list[Bar]) -> None:
    """A bar for is drawn full, a bar against light: never by colour."""
    for bar, line in zip(bars, terminal(bars, 120), strict=False):
        assert ("█" in line) is (bar.mbits > 0)
        assert ("░" in line) is (bar.mbits < 0)


def drawn(bars: list[Bar], title: str = "Why") -> ET.Element:
    """The SVG, parsed."""
    return ET.fromstring(svg(bars, title))  # noqa: S314 - our own drawing


@given(bars=ANY_BARS, title=st.text(max_size=200))
@example(bars=[Bar("", "", 40_000), Bar("", "", 1)], title="a bar too short to see, at the edge")
def test_the_drawing_is_xml_and_stays_inside(bars: list[Bar], title: str) -> None:
    """Any words and any number of bars give XML whose shapes lie within its frame."""
    root = drawn(bars, title)
    _, _, width, height = map(float, root.attrib["viewBox"].split())
    assert width == WIDTH
    for shape in root.iter(f"{SVG}rect"):
        x, y = float(shape.get("x", 0)), float(shape.get("y", 0))
        assert x >= 0
        assert x + float(shape.attrib["width"]) <= width
        assert y + float(shape.attrib["height"]) <= height
        if shape.get("class") != "paper":
            assert x >= BARS_LEFT
            assert x + float(shape.attrib["width"]) <= BARS_RIGHT
    for text in root.iter(f"{SVG}text"):
        assert 0 < float(text.attrib["x"]) < width
        assert 0 < float(text.attrib["y"]) < height


@given(bars=ANY_BARS)
def test_labels_leave_room_for_the_bars(bars: list[Bar]) -> None:
    """No label is longer than its column holds even in a broad font."""
    for text in drawn(bars).iter(f"{SVG}text"):
        if (text.get("class") or "").startswith("label"):
            letters = (text.text or "").replace("…", "")
            assert sum(5 if letter in "ijltfr:.,;'| ()-" else 8 for letter in letters) <= 340


def test_the_drawing_tells_what_it_shows() -> None:
    """Title and description name the whole, each row has words of its own, and ids do not clash."""
    root, other = drawn(BARS, "Ann & <Bob>"), drawn(APART, "Ann & <Bob>")
    title, desc = root.find(f"{SVG}title"), root.find(f"{SVG}desc")
    assert title is not None
    assert desc is not None
    assert title.text == "Ann & <Bob>"
    assert desc.text is not None
    assert desc.text.startswith("Match weight +1.00 bits, from: prior: before any evidence -12.00")
    assert root.attrib["aria-labelledby"].split() == [title.attrib["id"], desc.attrib["id"]]
    rows = [row.findtext(f"{SVG}title") for row in root.iter(f"{SVG}g")]
    assert rows[1] == "family name: same: +5.00 bits"
    assert rows[-1] == "match weight: +1.00 bits"
    assert other.attrib["aria-labelledby"] != root.attrib["aria-labelledby"]


def test_the_drawing_stands_alone_in_light_and_dark() -> None:
    """It refers to nothing outside, runs nothing, and has colours for both settings."""
    text = svg(BARS, "Why")
    addresses = re.findall(r"https?://[^\"]+|href|url\(|<script|@import", text)
    assert addresses == ["http://www.w3.org/2000/svg"]
    assert "prefers-color-scheme:dark" in text
    assert svg(BARS, "Why") == text


def test_the_documents_show_what_is_drawn() -> None:
    """The drawing and the lines in docs/ are what these functions give for the same bars."""
    bars = [
        Bar("prior", "before any evidence", -9_303),
        Bar("family", "same", 4_415),
        Bar("family", "common value", -394),
        Bar("given", "same", 3_869),
        Bar("given", "common value", -226),
        Bar("city", "same", 2_559),
        Bar("city", "rare value", 99),
        Bar("gender", "same", 1_001),
        Bar("given with gender", "counted once", -1_002),
    ]
    docs = Path(__file__).parents[2] / "docs"
    title = "Rows 111 and 115 under model f3ef136e77294116"
    assert (docs / "waterfall.svg").read_text("utf-8") == svg(bars, title)
    shown = "\n".join(f"    {line}" for line in terminal(bars, 80))
    assert shown in (docs / "matching.md").read_text("utf-8")


def test_bars_are_as_long_as_they_weigh() -> None:
    """Widths are in proportion to bits, and those for and against have a class each."""
    found = [shape for shape in drawn(BARS).iter(f"{SVG}rect") if shape.get("class") != "paper"]
    widths = [float(shape.attrib["width"]) for shape in found]
    assert widths[1] / widths[2] == pytest.approx(5 / 3, rel=0.02)
    assert [shape.attrib["class"] for shape in found] == [
        "against", "for", "for", "for", "against", "against", "for",
    ]  # fmt: skip

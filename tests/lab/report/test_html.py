import json

from numsym.lab.report import html


def test_what_comes_from_a_run_is_escaped():
    assert html.text("p", "a < b & c") == "<p>a &lt; b &amp; c</p>"
    assert html.tag("p", class_='x"', aria_label="a") == '<p class="x&quot;" aria-label="a"></p>'
    assert "<b>" not in html.table([{"<b>": "<b>"}], "<b>")
    written = html.data({"a": "</script><b>"}, "x")
    assert written.count("</script>") == 1
    assert json.loads(written.partition(">")[2].removesuffix("</script>")) == {"a": "</script><b>"}


def test_numbers_stand_to_the_right_and_words_to_the_left():
    made = html.table([{"what": "das", "iia": "98.0 [97.0, 99.0]", "left": None}], "numbers")
    assert '<th scope="col">what</th>' in made
    assert '<th scope="col" class="number">iia</th>' in made
    assert '<td class="number">98.0 [97.0, 99.0]</td>' in made
    assert "<caption>numbers</caption>" in made
    several = html.table([{"phi": "9.06e-05", "peaks": "20 (8.0), 33.3 (4.5)"}], "a number, and several")
    assert '<td class="number">9.06e-05</td><td>20 (8.0), 33.3 (4.5)</td>' in several
    assert html.table([], "nothing") == ""


def test_what_is_empty_leaves_no_heading():
    assert html.section("Nothing", "", "") == ""
    assert html.facts([("a", ""), ("b", 0), ("c", None)]) == "<dl><dt>b</dt><dd>0</dd></dl>"

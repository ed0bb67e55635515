"""The markup of label texts becomes XHTML that narratives may hold, and what has no such form is told."""

from __future__ import annotations

import pytest

from apothecary.content.xml_tree import Node, parse_xml
from apothecary.importers.labels.markup import Markup
from apothecary.importers.labels.xhtml import attribute, div, markdown, plain
from apothecary.validation.narrative import defects


def shown(text: str, ids: set[str] | None = None) -> tuple[str, list[str]]:
    """The narrative of a text, without its own element, and what is told."""
    root = parse_xml(f'<text xmlns="urn:hl7-org:v3">{text}</text>')
    told: list[str] = []
    notes = {attribute(one, "ID"): one for one in root.content if isinstance(one, Node) and one.name == "footnote"}
    markup = Markup(lambda node, reason: told.append(reason), ids or set(), notes, {"M1": "Structure (a.jpg)"})
    whole = div(markup.convert(root), "en")
    assert defects(whole) == ()
    return whole.partition(">")[2].removesuffix("</div>"), told


@pytest.mark.parametrize(
    ("written", "made"),
    [
        ("<paragraph>One</paragraph>", "<p>One</p>"),
        ('<content styleCode="bold">B</content>', "<b>B</b>"),
        ('<content styleCode="Bold italics">B</content>', "<b><i>B</i></b>"),
        ('<content styleCode="xmChange">B</content>', '<span class="xmchange">B</span>'),
        ("m<sup>2</sup>C<sub>max</sub>", "m<sup>2</sup>C<sub>max</sub>"),
        ("<list><item>a</item></list>", "<ul><li>a</li></ul>"),
        (
            '<list listType="ordered" styleCode="LittleAlpha"><item>a</item></list>',
            '<ol type="a"><li>a</li></ol>',
        ),
        (
            "<list><caption>L</caption><item><caption>*</caption>a</item></list>",
            "<p><b>L</b></p><ul><li><b>*</b> a</li></ul>",
        ),
        (
            '<table width="8%"><caption>T</caption><tr styleCode="Botrule"><td colspan="2">x</td></tr></table>',
            '<table width="8%"><caption>T</caption><tr style="border-bottom: 1px solid"><td colspan="2">'
            "x</td></tr></table>",
        ),
        ('<linkHtml href="https://a.example/b">L</linkHtml>', '<a href="https://a.example/b">L</a>'),
        ('<linkHtml href="#S1">1</linkHtml>', '<a href="#S1">1</a>'),
        ('<content ID="S1">x</content><content ID="S1">y</content>', '<span id="S1">x</span><span>y</span>'),
        ("<paragraph><list><item>a</item></list></paragraph>", "<div><ul><li>a</li></ul></div>"),
        ("10<footnote>of 20</footnote> and", "10<sup>[1]</sup> and<p><sup>[1]</sup> of 20</p>"),
        (
            'a<footnote ID="n1">N</footnote>, b<footnoteRef IDREF="n1"/>',
            "a<sup>[1]</sup>, b<sup>[1]</sup><p><sup>[1]</sup> N</p>",
        ),
        (
            "<footnote>a<footnote>b</footnote></footnote>",
            "<sup>[1]</sup><p><sup>[1]</sup> a<sup>[2]</sup></p><p><sup>[2]</sup> b</p>",
        ),
    ],
)  # fmt: skip
def test_what_narratives_can_show_is_shown_without_a_word(written: str, made: str) -> None:
    assert shown(written, {"S1"}) == (made, [])


@pytest.mark.parametrize(
    ("written", "made", "told"),
    [
        ('<linkHtml href="javascript:x()">L</linkHtml>', "<span>L</span>", "leads nowhere here"),
        ('<linkHtml href="#gone">L</linkHtml>', "<span>L</span>", "leads nowhere here"),
        ('<linkHtml href="#s1">L</linkHtml>', '<a href="#S1">L</a>', "the link to #s1 leads to #S1"),
        ('<footnoteRef IDREF="gone"/>', "<sup>[?]</sup>", "the footnote 'gone' is not there"),
        (
            '<renderMultiMedia referencedObject="M1"/>',
            "<span><em>[Image: Structure (a.jpg)]</em></span>",
            "an image stands as its description: Structure (a.jpg)",
        ),
        ("<blink>x</blink>", "<span>x</span>", "the element blink is read as a piece of text"),
        ("<script>x</script>", "<span>x</span>", "the element script is read as a piece of text"),
    ],
)
def test_what_they_cannot_show_is_told(written: str, made: str, told: str) -> None:
    text, said = shown(written, {"S1"})
    assert text == made
    assert len(said) == 1
    assert told in said[0]


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("10<sup>6</sup> cells/m<sup>2</sup>", "10⁶ cells/m²"),
        ("10<sup>-3</sup>", "10⁻³"),
        ("x<sup>2a</sup>", "x^(2a)"),
        ("CYP3A<sub>4</sub>, C<sub>max</sub>", "CYP3A₄, Cmax"),
        ("<paragraph>a</paragraph><paragraph>b</paragraph>", "a\nb"),
        ("<list><item>a<paragraph>b</paragraph></item><item>c</item></list>", "- a\nb\n- c"),
        ("<table><tbody><tr><td>a</td><td>b <content>c</content></td></tr></tbody></table>", "a | b c"),
        ("a<br/>b", "a\nb"),
    ],
)
def test_plain_text_says_the_same(written: str, said: str) -> None:
    root = parse_xml(f'<text xmlns="urn:hl7-org:v3">{written}</text>')
    assert plain(Markup(lambda node, reason: None).convert(root)) == said


@pytest.mark.parametrize(
    ("words", "escaped"),
    [
        ("a*b_c [see 5.1] <i>", r"a\*b\_c \[see 5.1\] \<i>"),
        ("1. First", r"1\. First"),
        ("5.1 Skeletal muscle", "5.1 Skeletal muscle"),
        ("# Not a title", r"\# Not a title"),
        ("-5 degrees", r"\-5 degrees"),
    ],
)
def test_markdown_shows_the_words_and_nothing_else(words: str, escaped: str) -> None:
    assert markdown([words]) == escaped

import pytest

from training.report.markup import Markup, element, join


def test_text_is_escaped_and_markup_is_not() -> None:
    nested = element("b", "<i> & \"quotes\" 'both'")
    assert nested == "<b>&lt;i&gt; &amp; &quot;quotes&quot; &#x27;both&#x27;</b>"
    assert element("p", nested, [" ", 3, None]) == f"<p>{nested} 3</p>"
    assert join("a", ("<",), Markup("<br>")) == "a&lt;<br>"


def test_attributes() -> None:
    written = element("img", src='"><script>', alt="", class_="a", aria_label="x", hidden=True, title=None)
    assert written == '<img src="&quot;&gt;&lt;script&gt;" alt="" class="a" aria-label="x" hidden>'


@pytest.mark.parametrize("tag", ["a b", "", "a>"])
def test_names_that_are_none(tag: str) -> None:
    with pytest.raises(ValueError, match="No element"):
        element(tag)
    with pytest.raises(ValueError, match="No attribute"):
        element("p", **{f"x{tag} ": 1})


def test_an_image_has_no_content() -> None:
    with pytest.raises(ValueError, match="No element"):
        element("img", "text")

"""Messages to the mailing list: Markdown in, a letter with its way out of the list."""

from html import escape
from typing import Final

from markdown_it import MarkdownIt

from accounts.mail.composing import Body, Letter
from accounts.mail.letters import html_document

_WHY: Final = "You get this because you subscribed to Sport Vision's news and confirmed it."


def list_letter(subject: str, markdown: str, *, unsubscribe_url: str, list_id: str) -> Letter:
    """Write a message for one subscriber.

    Args:
        subject: One line.
        markdown: The words, in CommonMark. As plain text they are sent as they are; HTML in them is not obeyed.
        unsubscribe_url: The subscriber's own. A POST to it takes them off the list, without a login (RFC 8058); a
            person who opens it finds a button.
        list_id: Names the list to mail programs (RFC 2919), as in `news.example.org`.
    """
    text = f"{markdown.strip()}\n\n-- \n{_WHY}\nUnsubscribe: {unsubscribe_url}\n"
    url = escape(unsubscribe_url)
    footer = f'<hr>\n<p><small>{_WHY} <a href="{url}">Unsubscribe</a></small></p>'
    html = _markdown().render(markdown) + footer
    return Letter(
        subject,
        Body(text, html_document(subject, html)),
        {
            "List-Id": f"<{list_id}>",
            "List-Unsubscribe": f"<{unsubscribe_url}>",
            "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
        },
    )


def _markdown() -> MarkdownIt:
    return MarkdownIt("commonmark", {"html": False})

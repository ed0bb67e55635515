"""What a person finds at the root: a page for browsers, the same as JSON for programs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

ABOUT = "A FHIR server for medication knowledge."

STYLE = (
    "body{font:1rem/1.5 system-ui,sans-serif;max-width:44rem;margin:2rem auto;padding:0 1rem}"
    "code{background:#8882;padding:.1em .3em;border-radius:.2em}"
)


def index(bases: Sequence[str], types: Iterable[str], description: str) -> str:
    """The page at `/`: where the bases are, which types hold something, and how to go on with curl."""
    first = bases[0]
    links = "".join(f"<li>{_link(f'{first}/{one}', one)}</li>" for one in sorted(types))
    statements = ", ".join(_link(f"{one}/metadata", f"{one}/metadata") for one in bases)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Apothecary</title>'
        f'<meta name="viewport" content="width=device-width"><style>{STYLE}</style></head><body>'
        f"<h1>Apothecary</h1><p>{ABOUT} {escape(description)}</p>"
        f"<h2>What this server does</h2><p>{statements}</p>"
        f"<h2>What it holds</h2>{f'<ul>{links}</ul>' if links else '<p>Nothing yet.</p>'}"
        f"<h2>From a shell</h2><p><code>curl [this server]{first}/metadata</code></p></body></html>"
    )


def _link(address: str, text: str) -> str:
    return f'<a href="{escape(address)}">{escape(text)}</a>'

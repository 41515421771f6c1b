"""Colours: text can be read in both themes, and lines can be told from what is behind them."""

from __future__ import annotations

import re

import pytest

from tenantpool.observe.render import STATIC

AA_TEXT = 4.5
AA_GRAPHICS = 3.0
BACKGROUNDS = ("paper", "panel", "track")


def colours(theme: str) -> dict[str, str]:
    """Each variable of the style sheet in that theme."""
    text = (STATIC / "style.css").read_text()
    light, dark = re.findall(r":root \{(.*?)\}", text, re.DOTALL)[:2]
    found = dict(re.findall(r"--([\w-]+): (#\w{6})", light))
    if theme == "dark":
        found |= dict(re.findall(r"--([\w-]+): (#\w{6})", dark))
    return found


def contrast(one: str, other: str) -> float:
    """As WCAG 2 defines it, from 1 to 21."""
    bright, dim = sorted((luminance(one), luminance(other)), reverse=True)
    return (bright + 0.05) / (dim + 0.05)


def luminance(colour: str) -> float:
    parts = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    linear = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return sum(part * share for part, share in zip(linear, (0.2126, 0.7152, 0.0722), strict=True))


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_text_has_the_contrast_of_aa(theme: str) -> None:
    palette = colours(theme)
    pairs = [(ink, behind) for ink in ("ink", "muted", "link") for behind in BACKGROUNDS]
    pairs += [(sign, it) for sign in ("good", "warn", "bad") for it in ("paper", "panel")]
    pairs += [("cool", f"h{heat}") for heat in range(1, 6)] + [("cool", "track")]
    pairs += [("hot", f"h{heat}") for heat in range(6, 10)] + [("panel", "link")]
    poor = {
        f"{one} on {other}": round(contrast(palette[one], palette[other]), 2)
        for one, other in pairs
        if contrast(palette[one], palette[other]) < AA_TEXT
    }
    assert not poor


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_lines_and_the_focus_have_the_contrast_of_aa(theme: str) -> None:
    palette = colours(theme)
    drawn = ("focus", *(f"t{number}" for number in range(6)), "good", "warn", "bad")
    poor = {
        one: round(contrast(palette[one], palette["panel"]), 2)
        for one in drawn
        if contrast(palette[one], palette["panel"]) < AA_GRAPHICS
    }
    assert not poor


def test_nothing_moves_for_those_who_want_it_so() -> None:
    text = (STATIC / "style.css").read_text()
    still = re.sub(
        r"@media \(prefers-reduced-motion: no-preference\) \{.*?\n\}", "", text, flags=re.DOTALL
    )
    assert still != text
    assert not re.search(r"animation|transition|scroll-behavior|@keyframes", still)

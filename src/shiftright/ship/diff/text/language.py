"""Which language an answer is in, by py3langid's model of 141 languages (BSD, 4.6 MB, no network)."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

SHORTEST = 20
"""Letters below which nothing is said: "Vielen Dank!" could be half a dozen languages."""
LONGEST = 2_000
SURE = 0.8
"""Confidence, calibrated by the model's authors, below which nothing is said."""

_CODE = re.compile(r"```.*?(```|$)|`[^`\n]*`|https?://\S+", re.DOTALL)
_NO_LETTERS = re.compile(r"[\W\d_]+")
_NAMES = {
    "ar": "Arabic", "bg": "Bulgarian", "bn": "Bengali", "ca": "Catalan", "cs": "Czech", "da": "Danish",
    "de": "German", "el": "Greek", "en": "English", "es": "Spanish", "et": "Estonian", "fa": "Persian",
    "fi": "Finnish", "fr": "French", "he": "Hebrew", "hi": "Hindi", "hr": "Croatian", "hu": "Hungarian",
    "id": "Indonesian", "it": "Italian", "ja": "Japanese", "ko": "Korean", "lt": "Lithuanian", "lv": "Latvian",
    "nl": "Dutch", "no": "Norwegian", "pl": "Polish", "pt": "Portuguese", "ro": "Romanian", "ru": "Russian",
    "sk": "Slovak", "sl": "Slovenian", "sr": "Serbian", "sv": "Swedish", "th": "Thai", "tr": "Turkish",
    "uk": "Ukrainian", "ur": "Urdu", "vi": "Vietnamese", "zh": "Chinese",
}  # fmt: skip


def language(text: str) -> str | None:
    """The language's name in English (its ISO 639 code where it is rare); None where the text is too short, mostly
    code, or not told with confidence."""
    plain = _CODE.sub(" ", text)[:LONGEST]
    if len(_NO_LETTERS.sub("", plain)) < SHORTEST:
        return None
    code, confidence = _identifier().classify(plain)
    return _NAMES.get(code, code) if confidence >= SURE else None


@cache
def _identifier() -> Any:
    # 0.9 s and 100 MB: only where languages are asked for
    from py3langid.langid import MODEL_FILE, LanguageIdentifier  # type: ignore[import-untyped]

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)

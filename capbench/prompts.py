"""Prompts with fields that each item fills in, as in ``Describe the region {region} in {length} words``."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from capbench.errors import UsageError
from capbench.types import Box, Request

FIELD = re.compile(r"\{\{|\}\}|\{(?P<name>\w+)\}")
FIELDS: Mapping[str, Callable[[Request], str]] = {
    "length": lambda request: str(request.length),
    "region": lambda request: "; ".join(map(box_text, request.regions)),
    "history": lambda request: "\n".join(request.history),
    "others": lambda request: str(len(request.context)),
}
# what an item must have for a field to say something
STANDS_FOR = {"length": "length", "region": "regions", "history": "history", "others": "context"}


def context_in(template: str) -> frozenset[str]:
    """What of a request's context a prompt puts into words: length, regions, history, context.

    Raises:
        UsageError: a field that no request has.
    """
    names = [match["name"] for match in FIELD.finditer(template) if match["name"]]
    for name in names:
        if name not in FIELDS:
            known = ", ".join(f"{{{field}}}" for field in FIELDS)
            raise UsageError(
                f"the prompt has a field {{{name}}} that nothing fills in",
                f"there are {known}; braces that mean themselves are doubled: {{{{{name}}}}}",
            )
    return frozenset(STANDS_FOR[name] for name in names)


def rendered(template: str, request: Request) -> str:
    """The prompt for one item; ``{{`` and ``}}`` stand for braces, and braces around no name for themselves."""

    def filled(match: re.Match[str]) -> str:
        return FIELDS[match["name"]](request) if match["name"] else match[0][0]

    return FIELD.sub(filled, template)


def box_text(box: Box) -> str:
    """A box as ``left, top, width, height``."""
    return ", ".join(f"{number:g}" for number in box)


__all__ = ["FIELDS", "box_text", "context_in", "rendered"]
